import IKEv2

/// What commands ask of the manager of all IKE SAs. Tests have one that answers as they like.
public protocol SessionControl: AnyObject {
    var now: UInt64 { get }
    var counters: ManagerCounters { get }
    var connections: [Connection] { get }
    var credentials: Credentials { get set }
    var traps: [ChildCover] { get }

    func statuses() -> [IKESAStatus]
    /// Those of the IKE SAs that a filter is about, as far as it is about IKE SAs.
    func statuses(matching filter: SAFilter) -> [IKESAStatus]
    /// Attempts to bring such an IKE SA up that have no IKE SA at the moment.
    func waitingAttempts(matching filter: SAFilter) -> Int
    func load(_ connections: [Connection], replacingAll: Bool, at now: UInt64)
    func unload(_ name: String, at now: UInt64) -> Bool
    func initiate(
        connection: String?, child: String?, at now: UInt64, outcome: @escaping (Result<Void, Explanation>) -> Void)
    func terminate(
        _ filter: SAFilter, force: Bool, at now: UInt64, outcome: @escaping (Result<Int, Explanation>) -> Void)
    func rekey(_ filter: SAFilter, reauthenticate: Bool, at now: UInt64) -> Int
    func install(connection: String?, child: String, at now: UInt64) -> Result<Void, Explanation>
    func uninstall(connection: String?, child: String, at now: UInt64) -> Bool
}

extension SessionControl {
    public func statuses(matching filter: SAFilter) -> [IKESAStatus] {
        statuses().filter(SAFilter(connection: filter.connection, ikeID: filter.ikeID).matches)
    }

    public func waitingAttempts(matching filter: SAFilter) -> Int { 0 }
}

extension SessionManager: SessionControl {}

extension SAFilter {
    /// Whether the filter means this IKE SA, or one of its children.
    func matches(_ ike: IKESAStatus) -> Bool {
        if let connection, connection != ike.connectionName { return false }
        if let ikeID, ikeID != ike.id { return false }
        return !isAboutChildren || ike.children.contains(where: matches)
    }

    /// Whether a child of an IKE SA that matches is meant, as far as the filter is about children.
    func matches(_ status: ChildSAStatus) -> Bool {
        if let child, child != status.sa.child.name { return false }
        if let childID, childID != status.sa.id { return false }
        return true
    }

    /// How many SAs the filter means: CHILD_SAs if it is about them, else IKE SAs.
    func count(in statuses: [IKESAStatus]) -> Int {
        let matching = statuses.filter(matches)
        return isAboutChildren
            ? matching.reduce(0) { $0 + $1.children.count(where: matches) } : matching.count
    }
}
