import CLinux
import IPsec
import Netlink
import Packets
import Policy

/// The half of the boundary that the kernel holds (RFC 4301 sections 4.4.1, 5.1 and 5.2): an nftables table of the family `inet` that drops
/// what policies protect or discard when it would leave in clear, and what comes in clear though it should be protected.
///
/// The steering program takes packets from ports before the kernel sees them; whatever reaches the kernel all the same is held
/// here: packets of the host itself, packets of interfaces that are no ports, and everything while no gateway runs. The table belongs
/// to nobody's process, so that it stays when the gateway ends, however it ends. It is exchanged as a whole: no packet finds a gap.
///
///     forward   from a TUN device of ours      → drop: it was decrypted for this host
///               into a TUN device of ours      → drop when it came by a WAN port, else let through: it will be protected
///               came by a WAN port             → `inbound`
///               leaves by a LAN port           → let through: it does not cross the boundary
///               else                           → `outbound`
///     output    IKE, ESP, AH, neighbours, loopback, TUN, LAN ports → let through, else `outbound`
///     input     WAN ports, but for IKE, ESP, AH, neighbours, errors → `inbound`
///     outbound  source local, destination remote for some policy   → drop and count
///     inbound   source remote, destination local for some policy   → drop and count
struct KernelGuard {
    /// The closed traffic, and the interfaces between which it is closed.
    struct Boundary: Hashable {
        /// The entries in the order in which they decide.
        var traffic: [CoveredTraffic]
        /// Ports towards the protected networks only: between two of them no boundary is crossed.
        var protectedPorts: [String]
        /// Ports towards the peers only: nothing that a policy protects comes by them in clear.
        var unprotectedPorts: [String]

        init(_ covered: CoveredList, lan: [String], wan: [String]) {
            traffic = covered.traffic
            protectedPorts = lan.filter { !wan.contains($0) }
            unprotectedPorts = wan.filter { !lan.contains($0) }
        }
    }

    /// Packets that were held back since the table was made.
    struct Counts: Hashable, Codable {
        /// Packets that would have left in clear.
        var outbound: UInt64 = 0
        /// Packets that came in clear and should have been protected.
        var inbound: UInt64 = 0
        /// Packets that came by a WAN port and would have gone into a tunnel.
        var foreign: UInt64 = 0
    }

    /// The boundary that the kernel holds closed.
    struct Report: Hashable {
        var counts = Counts()
        /// "site/net: 10.1.0.0/16 -> 10.2.0.0/16" for each child.
        var closed: [String] = []
    }

    static let table = "sluice"
    /// Holds the boundary as well while the table is exchanged. A packet that is on its way through the old table in that moment looks
    /// into maps whose entries are not valid any more, and nothing is found: it would pass.
    static let standIn = "sluice-next"
    /// After destination NAT and other filters, before source NAT.
    private static let priority: Int32 = 50
    private static let devicePrefix = "sluice"

    private let session: NetfilterSession
    private let standInSession: NetfilterSession
    private(set) var boundary: Boundary?

    init() throws(NetlinkError) {
        session = try NetfilterSession(table: Self.table)
        standInSession = try NetfilterSession(table: Self.standIn)
    }

    /// Puts a boundary in the place of what is there, if it differs. When this throws, what was there stays.
    mutating func close(_ boundary: Boundary) throws(NetlinkError) {
        guard boundary != self.boundary else { return }
        try install(boundary)
    }

    /// Installs the boundary again when somebody has removed the table. Returns whether that was so.
    mutating func restoreIfGone() throws(NetlinkError) -> Bool {
        guard let boundary, try !session.exists() else { return false }
        try install(boundary)
        return true
    }

    private mutating func install(_ boundary: Boundary) throws(NetlinkError) {
        let old = try session.contents()
        if old != nil { try Self.fill(standInSession, boundary, Counts()) }
        try Self.fill(session, boundary, old.map(Self.counts) ?? Counts())
        self.boundary = boundary
        _ = try Self.remove(standInSession)
    }

    /// Puts a table in the place of the one that is there, if any.
    private static func fill(
        _ session: NetfilterSession, _ boundary: Boundary, _ counts: Counts
    ) throws(NetlinkError) {
        try session.commit("close the boundary") { batch in
            // The first makes the deletion valid where there is no table yet.
            batch.addTable()
            batch.deleteTable()
            batch.addTable()
            batch.addCounter("outbound", .init(packets: counts.outbound))
            batch.addCounter("inbound", .init(packets: counts.inbound))
            batch.addCounter("foreign", .init(packets: counts.foreign))
            addDecisions(boundary, to: &batch)
            addHooks(boundary, to: &batch)
            addClosed(boundary, to: &batch)
        }
    }

    /// The counts that were in the table; nil when there was none.
    private static func remove(_ session: NetfilterSession) throws(NetlinkError) -> NetfilterSession.Contents? {
        guard let contents = try session.contents() else { return nil }
        try session.commit("open the boundary") { $0.deleteTable() }
        return contents
    }

    /// Opens the boundary: removes the table. Returns what was closed, or nil when nothing was.
    mutating func open() throws(NetlinkError) -> Report? {
        let standIn = try Self.remove(standInSession)
        let contents = try Self.remove(session) ?? standIn
        boundary = nil
        return contents.map(Self.report)
    }

    /// The boundary that the kernel holds closed now, whoever closed it; nil: none.
    func report() throws(NetlinkError) -> Report? {
        if let contents = try session.contents() { return Self.report(contents) }
        return try standInSession.contents().map(Self.report)
    }

    private static func report(_ contents: NetfilterSession.Contents) -> Report {
        Report(counts: counts(contents), closed: contents.comments)
    }

    private static func counts(_ contents: NetfilterSession.Contents) -> Counts {
        func packets(_ name: String) -> UInt64 { contents.counters[name]?.packets ?? 0 }
        return Counts(outbound: packets("outbound"), inbound: packets("inbound"), foreign: packets("foreign"))
    }

    // MARK: The table

    private static func addHooks(_ boundary: Boundary, to batch: inout NetfilterBatch) {
        batch.addChain("forward", hook: .forward(priority: priority))
        batch.addRule("forward", .input(interface: devicePrefix, isPrefix: true), .drop)
        for port in boundary.unprotectedPorts {
            batch.addRule(
                "forward", .input(interface: port), .output(interface: devicePrefix, isPrefix: true), .count("foreign"),
                .drop)
            batch.addRule("forward", .input(interface: port), .jump("inbound"))
        }
        addExceptions("forward", [.output(interface: devicePrefix, isPrefix: true)], to: &batch)
        addExceptions("forward", boundary.protectedPorts.map { .output(interface: $0) }, to: &batch)
        batch.addRule("forward", .goto("outbound"))

        batch.addChain("output", hook: .output(priority: priority))
        let ways = boundary.protectedPorts + ["lo"]
        addExceptions("output", [.output(interface: devicePrefix, isPrefix: true)], to: &batch)
        addExceptions("output", ways.map { .output(interface: $0) }, to: &batch)
        addKeyExchange("output", portOffset: 0, to: &batch)
        batch.addRule("output", .goto("outbound"))

        batch.addChain("input", hook: .input(priority: priority))
        addKeyExchange("input", portOffset: 2, to: &batch)
        addErrors("input", to: &batch)
        for port in boundary.unprotectedPorts { batch.addRule("input", .input(interface: port), .goto("inbound")) }
    }

    private static func addExceptions(
        _ chain: String, _ conditions: [NetfilterExpression], to batch: inout NetfilterBatch
    ) {
        for condition in conditions { batch.addRule(chain, condition, .accept) }
    }

    /// IKE passes as RFC 4301 section 4.4.1 wants it, whatever the policies say; what is protected already passes; and
    /// neighbours are found (RFC 4861).
    ///
    /// - Parameter portOffset: of our own port in the UDP header.
    private static func addKeyExchange(_ chain: String, portOffset: UInt32, to batch: inout NetfilterBatch) {
        for port in [IPsecPort.keyExchange, IPsecPort.encapsulation] {
            batch.addRule(chain, .upperProtocol(IPProtocol.udp), .upperWord(offset: portOffset, port...port), .accept)
        }
        for number in [IPProtocol.esp, IPProtocol.ah] { batch.addRule(chain, .upperProtocol(number), .accept) }
        // Router and neighbour solicitations and advertisements, and redirects: types 133 to 137.
        batch.addRule(
            chain, .upperProtocol(IPProtocol.icmpv6), .upperWord(offset: 0, 133 << 8...137 << 8 | 0xff), .accept)
    }

    /// Errors about packets of this host, our ESP among them, come from any router of the way (RFC 4301 section 6): destination
    /// unreachable, time exceeded, parameter problem, and IPv6's packet too big.
    private static func addErrors(_ chain: String, to batch: inout NetfilterBatch) {
        for (number, types) in [
            (IPProtocol.icmp, [3...3, 11...12] as [ClosedRange<UInt16>]), (IPProtocol.icmpv6, [1...4]),
        ] {
            for type in types {
                let words = type.lowerBound << 8...type.upperBound << 8 | 0xff
                batch.addRule(chain, .upperProtocol(number), .upperWord(offset: 0, words), .accept)
            }
        }
    }

    private static func addDecisions(_ boundary: Boundary, to batch: inout NetfilterBatch) {
        for direction in ["outbound", "inbound"] {
            batch.addChain(direction)
            batch.addChain("closed-" + direction)
            batch.addRule("closed-" + direction, .count(direction), .drop)
        }
        var number: UInt32 = 1
        for family in [AddressFamily.ipv4, .ipv6] {
            let traffic = boundary.traffic.filter { $0.selector.family == family }
            guard !traffic.isEmpty else { continue }
            let reversed = traffic.map { covered in
                var covered = covered
                covered.selector = covered.selector.reversed
                return covered
            }
            add(BoundaryTables(traffic), "outbound", family, number: number, to: &batch)
            add(BoundaryTables(reversed), "inbound", family, number: number + 1, to: &batch)
            number += 2
        }
    }

    private static func add(
        _ tables: BoundaryTables, _ direction: String, _ family: AddressFamily, number: UInt32,
        to batch: inout NetfilterBatch
    ) {
        guard !tables.intervals.isEmpty else { return }
        let name = "\(direction)-\(family.rawValue)"
        for (place, rules) in tables.chains.enumerated() {
            batch.addChain("\(name)-\(place)")
            for rule in rules {
                for expressions in rule.expressions(closed: "closed-" + direction, holdsErrors: direction == "outbound")
                {
                    batch.addRule("\(name)-\(place)", expressions)
                }
            }
        }
        let intervals = tables.intervals.map {
            NetfilterBatch.MapInterval(first: $0.range.first, last: $0.range.last, chain: "\(name)-\($0.chain)")
        }
        batch.addMap(name, family, number: number, intervals)
        batch.addRule(
            direction, .family(family),
            tables.looksUpSource ? .sourceMap(name, family) : .destinationMap(name, family))
    }

    /// Says in the table itself what it closes, for whoever finds it without us: comments of rules in a chain that nothing goes to.
    private static func addClosed(_ boundary: Boundary, to batch: inout NetfilterBatch) {
        batch.addChain("closed")
        for covered in boundary.traffic where covered.action != .bypass {
            batch.addRule("closed", comment: covered.closedText, .return)
        }
    }
}

extension BoundaryTables.Rule {
    /// The rules of nftables for this one, which decide as the steering program does.
    ///
    /// Ports are not to be had from later fragments, and of IPv6 not even the protocol (RFC 8200 section 4.5: only the first fragment's
    /// counts): those of a policy that closes are held back whatever they would be, and none is let through for the sake of a policy
    /// that opens for some (RFC 4301 section 7).
    /// - Parameter holdsErrors: ICMP errors between the addresses are held back as well, as they quote packets (section 6).
    func expressions(closed: String, holdsErrors: Bool) -> [[NetfilterExpression]] {
        let range = comparesSource ? selector.source : selector.destination
        var addresses: [NetfilterExpression] = []
        if !range.isAny {
            addresses.append(
                comparesSource
                    ? .source(first: range.first, last: range.last)
                    : .destination(first: range.first, last: range.last))
        }
        let upper = selector.protocol.map { [NetfilterExpression.upperProtocol($0)] } ?? []
        var ports: [NetfilterExpression] = []
        if selector.sourcePorts != TrafficSelector.anyPort {
            ports.append(.upperWord(offset: 0, selector.sourcePorts))
        }
        if selector.destinationPorts != TrafficSelector.anyPort {
            ports.append(.upperWord(offset: 2, selector.destinationPorts))
        }
        guard action == .close else {
            // The word is there to be read in all but later fragments.
            let isProtocolOnly = selector.family == .ipv6 && ports.isEmpty && !upper.isEmpty
            return [addresses + upper + (isProtocolOnly ? [.upperWord(offset: 0, 0...UInt16.max)] : ports) + [.accept]]
        }
        var rules = [upper + ports]
        switch selector.family {
        case .ipv4: if !ports.isEmpty { rules.append(upper + [.laterFragment(.ipv4)]) }
        case .ipv6: if !ports.isEmpty || !upper.isEmpty { rules.append([.laterFragment(.ipv6)]) }
        }
        if holdsErrors, !ports.isEmpty || !upper.isEmpty { rules += Self.errors(selector.family) }
        return rules.map { addresses + $0 + [.goto(closed)] }
    }

    /// RFC 792: unreachable, source quench and redirect; time exceeded and parameter problem. RFC 4443 section 2.1: types below 128.
    private static func errors(_ family: AddressFamily) -> [[NetfilterExpression]] {
        let types: [ClosedRange<UInt16>] = family == .ipv4 ? [3...5, 11...12] : [0...127]
        let number = family == .ipv4 ? IPProtocol.icmp : IPProtocol.icmpv6
        return types.map {
            [.upperProtocol(number), .upperWord(offset: 0, $0.lowerBound << 8...$0.upperBound << 8 | 0xff)]
        }
    }
}

extension CoveredTraffic {
    /// "site/net: 10.1.0.0/16 -> 10.2.0.0/16".
    var closedText: String { name.isEmpty ? "\(selector)" : "\(name): \(selector)" }
}
