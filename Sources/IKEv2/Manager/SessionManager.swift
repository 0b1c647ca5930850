import IPsec
import Packets

/// All IKE SAs of the gateway, and what starts, finds and ends them. Pure: datagrams, events and a clock go in, calls of
/// `ChildDataplane` and `ManagerOutput` come out. Used on one thread.
public final class SessionManager: SessionEnvironment {
    public let settings: ProtocolSettings
    public var credentials = Credentials()
    public private(set) var now: UInt64
    public private(set) var counters = ManagerCounters()

    private let dataplane: any ChildDataplane
    private let output: any ManagerOutput
    private let clock: () -> Int64

    /// - Parameters:
    ///   - now: monotonic nanoseconds, as in all calls.
    ///   - wallClock: seconds since 1970, for certificates.
    public init(
        settings: ProtocolSettings, dataplane: any ChildDataplane, output: any ManagerOutput, now: UInt64,
        wallClock: @escaping () -> Int64
    ) {
        self.settings = settings
        self.dataplane = dataplane
        self.output = output
        self.now = now
        clock = wallClock
    }

    // MARK: - Datagrams and time

    /// One IKE message as it arrived, without a non-ESP marker.
    public func receive(_ datagram: [UInt8], path: Path, at now: UInt64) {}

    /// Does what is due. To be called at `nextDeadline`, or every 10 ms.
    public func advance(to now: UInt64) {}

    /// When there is something to do next; nil: when something comes.
    public var nextDeadline: UInt64? { nil }

    /// The dataplane wants something.
    public func handle(_ event: DataplaneEvent, at now: UInt64) {}

    /// The answer to `ManagerOutput.resolve`; empty: there is none.
    public func resolved(_ addresses: [IPAddress], request: UInt64, at now: UInt64) {}

    // MARK: - Configuration

    /// All that are loaded, in the order in which they came.
    public private(set) var connections: [Connection] = []

    /// Loads connections; one of the same name is replaced. What has not changed keeps its SAs; a child that has changed
    /// or gone loses its SAs and traps, a connection that has its IKE SAs. Then start actions run.
    /// - Parameter replacingAll: connections that are not among these are unloaded.
    public func load(_ connections: [Connection], replacingAll: Bool, at now: UInt64) {}

    /// Takes a connection out, with its SAs and traps. False: there is none of that name.
    public func unload(_ name: String, at now: UInt64) -> Bool { false }

    // MARK: - Commands

    /// Negotiates a CHILD_SA, or, without a child's name, an IKE SA. With a child's name only, the first connection that
    /// has it is meant. `outcome` is called once: when it is up, or with the reason why it is not.
    public func initiate(
        connection: String?, child: String?, at now: UInt64, outcome: @escaping (Result<Void, Explanation>) -> Void
    ) {}

    /// Ends all SAs that match. `outcome` is called once, with their number, when they are gone.
    /// - Parameter force: without waiting for the peers' answers.
    public func terminate(
        _ filter: SAFilter, force: Bool, at now: UInt64, outcome: @escaping (Result<Int, Explanation>) -> Void
    ) {}

    /// Begins to rekey all SAs that match, or to reauthenticate their IKE SAs; the number of them.
    public func rekey(_ filter: SAFilter, reauthenticate: Bool, at now: UInt64) -> Int { 0 }

    /// Lets packets of a child call for it (a trap), as `start_action = trap` does.
    public func install(connection: String?, child: String, at now: UInt64) -> Result<Void, Explanation> {
        .failure(Explanation("there is no child \(child)"))
    }

    /// Takes the traps of a child away. False: there was none.
    public func uninstall(connection: String?, child: String, at now: UInt64) -> Bool { false }

    /// Deletes all SAs at their peers; nothing new begins. Over when `counters.sessions` is 0.
    public func shutDown(at now: UInt64) {}

    // MARK: - Listings

    public func statuses() -> [IKESAStatus] { [] }

    /// All traps that are installed.
    public var traps: [TrapPolicy] { [] }

    // MARK: - SessionEnvironment

    public var wallClock: Int64 { clock() }

    public func random(count: Int) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<max(count, 0)).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    }

    public func uniqueID() -> UInt32 { 0 }
    public func allocateSPI() throws(InstallationError) -> UInt32 { try dataplane.allocateSPI() }
    public func requestID(connection: Connection, child: Child, selectors: [TrafficSelector]) -> UInt32 {
        child.requestID
    }
    public func usage(of sa: ChildSA) -> ChildUsage? { dataplane.usage(of: sa) }
    public func isFirstContact(local: Identity, remote: Identity) -> Bool { true }
    public func refusesDuplicate(_ connection: Connection, local: Identity, remote: Identity) -> Bool { false }
    public func logKeys(_ line: @autoclosure () -> KeyLogLine) { output.logKeys(line()) }
}
