import IPsec
import Packets

/// All IKE SAs of the gateway, and what starts, finds and ends them. Pure: datagrams, events and a clock go in, calls of
/// `ChildDataplane` and `ManagerOutput` come out. Used on one thread.
///
/// The way of a datagram: `receive` finds its session or lets a new one in (Admission), the session answers with actions,
/// `apply` does them in order (Actions) and draws conclusions from what sessions report (Consequences).
public final class SessionManager: SessionEnvironment {
    public let settings: ProtocolSettings
    public var credentials = Credentials() {
        didSet { candidateCache.removeAll() }
    }
    public private(set) var now: UInt64

    let dataplane: any ChildDataplane
    let output: any ManagerOutput
    private let clock: () -> Int64
    /// Nanoseconds that the calling thread has worked.
    let processorTime: () -> UInt64

    var table = SessionTable()
    var timers = TimerQueue<ManagerTimer>()
    var connectionTable = ConnectionTable()
    var candidateCache = CandidateCache()
    var requestIDs: RequestIDs
    /// By our SPI.
    var children: [UInt32: ChildInstallation] = [:]
    var covers = CoverTable()
    /// Which peer has which networks, where a connection is for several.
    var holders = NetworkHolders()
    /// Negotiations that we want, by what they are for.
    var attempts: [ConnectionAttempt.Key: ConnectionAttempt] = [:]
    /// Commands that wait until something is up.
    var waiters: [Waiter: [(Result<Void, Explanation>) -> Void]] = [:]
    var terminations: [Termination] = []
    /// How long what packets and peers call for has to wait after failures.
    var backoffs = BackoffTable()
    /// Peers' ways with children that were offered in the ordinary form in vain.
    var habits: [CoverTable.Owner: ChildCall.Habit] = [:]
    /// Children that start again after they have lost their SA.
    var restarts = Restarts()
    /// Inbound SPIs of SAs that could not be installed, and that the peer still believes in.
    var uninstalledSPIs: Set<UInt32> = []
    var names = NameCache()
    var cookies = CookieJar()
    var admission: AdmissionControl
    var refusedSessions = RefusedSessions()
    var peerCalls = PeerCalls()
    var tunnelMemory = TunnelMemory()
    /// Which of a connection's addresses is tried next, where there are several.
    var addressTurns: [String: Int] = [:]
    /// Checks of peers that something unproved has been said of.
    var doubts = RateLimiter(perSecond: 50, burst: 200)
    /// Unprotected notices that may cost a search.
    var notices = RateLimiter(perSecond: 20, burst: 50)
    /// First requests beyond their ordinary repetitions, and attempts before their time.
    var nudges = RateLimiter(perSecond: 50, burst: 200)
    /// Counts up whenever connections or host names name other addresses.
    var addressChanges: UInt64 = 0
    /// First answers to strangers on our own links: each makes the kernel look for a neighbour, and remember one that is
    /// not there for minutes. Its table, of 1,024 by default, is everybody's.
    var linkAnswers = RateLimiter(perSecond: 4, burst: 16)
    var unprotectedErrors = RateLimiter(perSecond: 20, burst: 20)
    /// Warnings that peers can cause before they have proved who they are, of known peers and of strangers apart.
    private var complaints = PeerStanding.allCases.map { _ in RateLimiter(perSecond: 5, burst: 20) }
    /// The same by address: one peer's do not keep the others' out of the log.
    private var complaintsByAddress = AddressLimiter(perSecond: 1, burst: 5)
    /// What peers can cause that have proved who they are.
    private var tellings = AddressLimiter(perSecond: 2, burst: 32)
    /// Lines about messages of no session.
    var strangerLines = RateLimiter(perSecond: 50, burst: 200)
    var isShuttingDown = false
    var count = ManagerCounters()

    private var lastUniqueID: UInt32 = 0
    private var generator = SystemRandomNumberGenerator()
    private var depth = 0
    private var postponed: [() -> Void] = []

    /// - Parameters:
    ///   - now: monotonic nanoseconds, as in all calls.
    ///   - wallClock: seconds since 1970, for certificates.
    ///   - processorTime: nanoseconds that the calling thread has worked; what strangers cost is measured by it.
    public init(
        settings: ProtocolSettings, dataplane: any ChildDataplane, output: any ManagerOutput, now: UInt64,
        wallClock: @escaping () -> Int64, processorTime: @escaping () -> UInt64 = { ThreadTime.now }
    ) {
        self.settings = settings
        self.dataplane = dataplane
        self.output = output
        self.now = now
        clock = wallClock
        self.processorTime = processorTime
        admission = AdmissionControl(settings)
        requestIDs = RequestIDs(reserved: dataplane.reservedRequestIDs)
    }

    public var counters: ManagerCounters {
        var counters = count
        counters.halfOpen = table.halfOpen.total
        counters.sessions = table.count
        return counters
    }

    /// Every entry runs in this: the clock is set, and what follows from sessions' actions is done once the actions
    /// themselves are.
    func run<Result>(at time: UInt64, _ body: () -> Result) -> Result {
        now = max(now, time)
        depth += 1
        let result = body()
        if depth == 1 {
            while !postponed.isEmpty {
                let next = postponed
                postponed = []
                for follow in next { follow() }
            }
        }
        depth -= 1
        return result
    }

    /// Does `follow` after the actions that are being applied.
    func afterwards(_ follow: @escaping () -> Void) { postponed.append(follow) }

    /// Whether there is room in the log for what a peer has brought about without having proved who it is.
    func mayComplain(of address: IPAddress) -> Bool {
        complaintsByAddress.allow(address, now: now) { complaints[standing(of: address).rawValue].allow(now: now) }
    }

    /// The same for a peer that has proved it.
    func mayTell(of record: SessionRecord) -> Bool {
        if let slot = record.slot { return mayComplain(of: slot.address) }
        return tellings.allow(record.session.path.remote.address, now: now)
    }

    /// Changes whenever `knownAddresses` may have changed.
    public var knownAddressesVersion: UInt64 { addressChanges &+ table.addressChanges }

    // MARK: - SessionEnvironment

    public var wallClock: Int64 { clock() }

    public func random(count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        while bytes.count < count {
            withUnsafeBytes(of: generator.next()) { bytes += $0.prefix(count - bytes.count) }
        }
        return bytes
    }

    public func uniqueID() -> UInt32 {
        lastUniqueID &+= 1
        return lastUniqueID
    }

    public func allocateSPI() throws(InstallationError) -> UInt32 { try dataplane.allocateSPI() }

    public func hasRoom(for selectors: [TrafficSelector]) -> Bool { dataplane.hasRoom(for: selectors) }

    public func requestID(
        connection: Connection, child: Child, selectors: [TrafficSelector], peer: Identity
    ) -> UInt32 {
        requestIDs.association(of: connection, child: child, selectors: selectors, peer: peer)
    }

    public func holder(of selectors: [TrafficSelector], connection: Connection, besides peer: Identity) -> Identity? {
        guard connection.remote.identity.isPattern else { return nil }
        return holders.holder(of: selectors.map(\.destination), connection: connection.name, besides: peer)
    }

    public func usage(of sa: ChildSA) -> ChildUsage? { dataplane.usage(of: sa) }

    public func isFirstContact(local: Identity, remote: Identity) -> Bool {
        !table.hasSession(of: local, with: remote)
    }

    public func refusesDuplicate(_ connection: Connection, local: Identity, remote: Identity) -> Bool {
        connection.unique == .keep
            && table.sessions(between: IdentityPair(local: local, remote: remote)).contains {
                $0.session.connection?.name == connection.name
            }
    }

    public func fragmentedMessageRefused() { count.fragmentedMessagesRefused += 1 }
    public func logKeys(_ line: @autoclosure () -> KeyLogLine) {
        if output.logsKeys { output.logKeys(line()) }
    }
}
