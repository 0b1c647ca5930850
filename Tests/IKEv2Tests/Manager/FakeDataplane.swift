import IKEv2
import IPsec
import Packets

/// A dataplane that carries nothing, and remembers whatever is not in order.
final class FakeDataplane: ChildDataplane {
    /// What should not have happened.
    private(set) var violations: [String] = []
    /// By inbound SPI.
    private(set) var inbound: [SPI: ChildSA] = [:]
    /// By inbound SPI.
    private(set) var outbound: [SPI: ChildSA] = [:]
    /// By "connection/child".
    private(set) var covers: [String: ChildCover] = [:]
    /// How often packets of each of them could have left in clear: it was covered, and is not any more.
    private(set) var uncovered: [String: Int] = [:]
    /// In the order of their installation.
    private(set) var outboundOrder: [SPI] = []
    private(set) var inboundInstalled = 0
    private(set) var moves = 0
    private var taken: Set<SPI> = []
    private var nextSPI: SPI = 0xC000_0000
    /// What is refused, with the reason.
    var refusesInbound: String?
    var refusesOutbound: String?
    var lastInbound: Instant?
    /// Packets that came by each inbound SA.
    private var received: [SPI: UInt64] = [:]

    /// Those whose packets ask for an SA.
    var traps: [ChildCover] { covers.values.filter(\.acquires) }
    /// Whether there is no SA.
    var isEmpty: Bool { inbound.isEmpty && outbound.isEmpty && taken.isEmpty }

    /// The outbound SA that traffic of a child goes through now.
    func active(_ child: String) -> ChildSA? {
        outboundOrder.last { outbound[$0]?.child.name == child }.flatMap { outbound[$0] }
    }

    func allocateSPI() throws(InstallationError) -> SPI {
        nextSPI += 1
        taken.insert(nextSPI)
        return nextSPI
    }

    func releaseSPI(_ spi: SPI) {
        check(taken.remove(spi) != nil, "SPI \(spi) was released, but not taken")
        check(inbound[spi] == nil, "SPI \(spi) was released with an SA in it")
    }

    func installInbound(_ sa: ChildSA) throws(InstallationError) {
        check(taken.contains(sa.inboundSPI), "inbound SA without its SPI taken")
        check(inbound[sa.inboundSPI] == nil, "inbound SPI \(sa.inboundSPI) twice")
        check(sa.requestID != 0, "inbound SA without request id")
        if let refusesInbound { throw InstallationError(refusesInbound) }
        inbound[sa.inboundSPI] = sa
        inboundInstalled += 1
    }

    func installOutbound(_ sa: ChildSA) throws(InstallationError) {
        check(inbound[sa.inboundSPI] != nil, "outbound SA without its inbound half")
        check(outbound[sa.inboundSPI] == nil, "outbound SA twice")
        if let refusesOutbound { throw InstallationError(refusesOutbound) }
        outbound[sa.inboundSPI] = sa
        outboundOrder.append(sa.inboundSPI)
    }

    func removeInbound(_ sa: ChildSA) {
        check(outbound[sa.inboundSPI] == nil, "inbound SA removed before its outbound half")
        check(inbound.removeValue(forKey: sa.inboundSPI) != nil, "removed an inbound SA that is not there")
        taken.remove(sa.inboundSPI)
    }

    func removeOutbound(_ sa: ChildSA) {
        check(outbound.removeValue(forKey: sa.inboundSPI) != nil, "removed an outbound SA that is not there")
        outboundOrder.removeAll { $0 == sa.inboundSPI }
    }

    func move(_ sa: ChildSA, to path: Path, isEncapsulated: Bool) {
        check(inbound[sa.inboundSPI] != nil, "moved an SA that is not there")
        inbound[sa.inboundSPI]?.path = path
        outbound[sa.inboundSPI]?.path = path
        moves += 1
    }

    func cover(_ cover: ChildCover) throws(InstallationError) {
        let name = "\(cover.connectionName)/\(cover.child.name)"
        check(covers[name] != cover, "\(name) covered twice")
        check(cover.requestID != 0, "\(name) without request id")
        covers[name] = cover
    }

    func uncover(connection: String, child: String) {
        let name = "\(connection)/\(child)"
        check(covers.removeValue(forKey: name) != nil, "uncovered \(name), which is not covered")
        uncovered[name, default: 0] += 1
    }

    func usage(of sa: ChildSA) -> ChildUsage? {
        guard inbound[sa.inboundSPI] != nil else { return nil }
        var usage = ChildUsage()
        usage.lastInbound = lastInbound
        usage.inboundPackets = received[sa.inboundSPI] ?? 0
        return usage
    }

    /// A packet that was sent by an SA of the peer arrives; false: there is none to open it with.
    func receive(by sent: ChildSA) -> Bool {
        guard inbound[sent.outboundSPI]?.inboundKey == sent.outboundKey else { return false }
        received[sent.outboundSPI, default: 0] += 1
        return true
    }

    /// A packet comes by an inbound SA.
    func countPacket(by sa: ChildSA) { received[sa.inboundSPI, default: 0] += 1 }

    private func check(_ isFine: Bool, _ violation: @autoclosure () -> String) {
        if !isFine { violations.append(violation()) }
    }
}
