/// Which SAs a command is about, as swanctl's `--ike`, `--child`, `--ike-id` and `--child-id` say. All that is given has
/// to match; with a child's name or id only CHILD_SAs are meant.
public struct SAFilter: Hashable, Sendable {
    public var connection: String?
    public var child: String?
    public var ikeID: UInt32?
    public var childID: UInt32?

    public init(connection: String? = nil, child: String? = nil, ikeID: UInt32? = nil, childID: UInt32? = nil) {
        self.connection = connection
        self.child = child
        self.ikeID = ikeID
        self.childID = childID
    }

    /// Whether the filter names CHILD_SAs rather than whole IKE SAs.
    public var isAboutChildren: Bool { child != nil || childID != nil }

    func matches(_ session: Session) -> Bool {
        (connection == nil || connection == session.connection?.name) && (ikeID == nil || ikeID == session.id)
    }

    func matches(_ sa: ChildSA) -> Bool {
        (child == nil || child == sa.child.name) && (childID == nil || childID == sa.id)
    }
}
