/// What loading a connection changes: nothing, some children, or the connection itself.
struct ConnectionChange: Equatable {
    enum Extent: Equatable {
        case none
        /// Only children: IKE SAs stay.
        case children
        /// Proposals, addresses, authentication, times: everything that IKE SAs were made from.
        case everything
    }

    var extent: Extent
    /// Names of children that are no longer as they were; those that are gone included.
    var endedChildren: Set<String> = []
    /// Children that were not there as they are now: their start actions are due.
    var newChildren: [Child] = []

    /// - Parameter old: nil: the connection is new.
    init(from old: Connection?, to new: Connection) {
        guard let old else {
            extent = .everything
            newChildren = new.children
            return
        }
        var emptied = old
        emptied.children = new.children
        if emptied != new {
            extent = .everything
            endedChildren = Set(old.children.map(\.name))
            newChildren = new.children
            return
        }
        let before = Set(old.children)
        let after = Set(new.children)
        endedChildren = Set(old.children.filter { !after.contains($0) }.map(\.name))
        newChildren = new.children.filter { !before.contains($0) }
        extent = old.children == new.children ? .none : .children
    }
}
