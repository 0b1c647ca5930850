import IPsec
import Packets

/// The world as sessions see it: clocks, chance, numbers, credentials, and what they may ask of the dataplane and of other
/// sessions.
final class ManagerEnvironment: SessionEnvironment {
    var credentials = Credentials()

    private let context: ManagerContext
    private let table: SessionTable
    private let installer: ChildInstaller
    private let requestIDs: RequestIDs
    private let clock: () -> Int64
    private var lastUniqueID: UInt32 = 0
    private var generator = SystemRandomNumberGenerator()

    /// - Parameter clock: seconds since 1970, for certificates.
    init(
        context: ManagerContext, table: SessionTable, installer: ChildInstaller, requestIDs: RequestIDs,
        clock: @escaping () -> Int64
    ) {
        self.context = context
        self.table = table
        self.installer = installer
        self.requestIDs = requestIDs
        self.clock = clock
    }

    var now: Instant { context.now }
    var settings: ProtocolSettings { context.settings }
    var wallClock: Int64 { clock() }

    func random(count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count)
        while bytes.count < count {
            withUnsafeBytes(of: generator.next()) { bytes += $0.prefix(count - bytes.count) }
        }
        return bytes
    }

    func uniqueID() -> UInt32 {
        lastUniqueID &+= 1
        return lastUniqueID
    }

    func answer(_ question: Question) -> Answer? { context.output.answer(question) }

    // MARK: Dataplane

    func allocateSPI() throws(InstallationError) -> SPI { try installer.allocateSPI() }

    func hasRoom(for selectors: [TrafficSelector]) -> Bool { installer.hasRoom(for: selectors) }

    func requestID(connection: Connection, child: Child, selectors: [TrafficSelector], peer: Identity) -> UInt32 {
        requestIDs.association(of: connection, child: child, selectors: selectors, peer: peer)
    }

    func holder(of selectors: [TrafficSelector], connection: Connection, besides peer: Identity) -> Identity? {
        installer.holder(of: selectors, connection: connection, besides: peer)
    }

    func usage(of sa: ChildSA) -> ChildUsage? { installer.usage(of: sa) }

    func leasedAddresses(of session: Session) -> LeasedAddresses { context.leases.addresses(of: session) }

    // MARK: Other sessions

    func isFirstContact(local: Identity, remote: Identity) -> Bool { !table.hasSession(of: local, with: remote) }

    func refusesDuplicate(_ connection: Connection, local: Identity, remote: Identity) -> Bool {
        connection.unique == .keep
            && table.sessions(between: IdentityPair(local: local, remote: remote)).contains {
                $0.session.connection?.name == connection.name
            }
    }

    // MARK: Counters and keys

    func fragmentedMessageRefused() { context.count.fragmentedMessagesRefused += 1 }

    func logKeys(_ line: @autoclosure () -> KeyLogLine) {
        if context.output.logsKeys { context.output.logKeys(line()) }
    }
}

extension SessionEnvironment {
    /// The limits of a new CHILD_SA of `child`: of bytes and packets both, of time only the hard one, since the
    /// session itself knows when a rekey is due. A soft limit comes up to `random` earlier, so that gateways do not all
    /// rekey at once.
    func lifetime(of child: Child) -> Lifetime {
        Lifetime(
            softBytes: soft(child.bytes), hardBytes: child.bytes.life.nonzero,
            softPackets: soft(child.packets), hardPackets: child.packets.life.nonzero,
            hardSecondsAfterAdd: child.time.life.nonzero)
    }

    /// A number below `limit`, or 0.
    func random(below limit: UInt64) -> UInt64 {
        guard limit > 0 else { return 0 }
        return random(count: 8).reduce(0) { $0 << 8 | UInt64($1) } % limit
    }

    /// A time below `limit`, or none.
    func random(below limit: Duration) -> Duration {
        .nanoseconds(random(below: UInt64(clamping: limit.wholeNanoseconds)))
    }

    private func soft(_ limit: Child.Limit) -> UInt64? {
        guard limit.rekey > 0 else { return nil }
        // A margin as large as the limit itself would rekey without end.
        let jitter = random(below: min(limit.random, limit.rekey - 1) &+ 1)
        return limit.rekey - jitter
    }
}

extension UInt64 {
    /// Limits are written with 0 for "never".
    fileprivate var nonzero: UInt64? { self == 0 ? nil : self }
}
