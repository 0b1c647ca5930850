import Cryptography
import Dataplane
import IPsec
import InMemory
import Packets
import Policy
import Telemetry
import TestSupport
import Testing

/// What policies and selectors let pass, in both directions.
@Suite struct PolicyTests {
    private func selector(_ network: MemoryNetwork, _ family: AddressFamily, port: UInt16? = nil) -> TrafficSelector {
        TrafficSelector(
            source: AddressRange(network.left.plan.network(family)),
            destination: AddressRange(network.right.plan.network(family)),
            protocol: port == nil ? nil : IPProtocol.udp,
            destinationPorts: port.map { $0...$0 } ?? TrafficSelector.anyPort)
    }

    /// What a policy lets pass leaves as it came, one hop further.
    @Test(arguments: [AddressFamily.ipv4, .ipv6])
    func bypass(family: AddressFamily) throws {
        let network = try MemoryNetwork(TunnelOptions())
        let left = network.left
        left.policies.append(
            SecurityPolicy(selector: selector(network, family, port: 53), direction: .out, action: .bypass, priority: 0)
        )
        // Behind the bypass: the tunnel takes the rest.
        left.policies = left.policies.map { policy in
            var policy = policy
            if case .protect = policy.action { policy.priority = 10 }
            return policy
        }
        try left.publish()
        var plain = IPPacket(from: left.plan.host(family), to: network.right.plan.host(family), size: 80)
        plain.destinationPort = 53
        left.receiveFromLAN([plain.bytes] + network.packets(family, count: 3))
        let sent = left.takeWAN().map(SentFrame.init)
        let clear = sent.filter { $0.packet[$0.packet.isIPv4 ? 9 : 6] == IPProtocol.udp }
        #expect(clear.map(\.packet) == [plain.bytes.routed(hops: 1)])
        #expect(clear.first?.destination == left.plan.routerStation)
        #expect(sent.count == 4)
        #expect(left.drops == [:])
        #expect(left[.bypassed] == 1 && left[.protected] == 3)
        #expect(left.gateway.current.policies.first { $0.policy.action == .bypass }?.packets == 1)
        #expect(left.lostFrames == 0)
    }

    @Test(arguments: [AddressFamily.ipv4, .ipv6])
    func discardAndNoPolicy(family: AddressFamily) throws {
        let network = try MemoryNetwork(sites: 2)
        let left = network.left
        left.policies = [
            SecurityPolicy(selector: selector(network, family, port: 5001), direction: .out, action: .discard)
        ]
        try left.publish()
        left.receiveFromLAN(network.packets(family, count: 7))
        #expect(left.drops == [.notEncryptedByPolicy: 7])
        var other = IPPacket(from: left.plan.host(family), to: network.right.plan.host(family), size: 80)
        other.destinationPort = 5002
        left.receiveFromLAN([other.bytes, other.bytes])
        #expect(left.drops == [.notEncryptedByPolicy: 7, .noPolicy: 2])
        #expect(left.takeWAN() == [] && left.takeLAN() == [], "not a word to anybody")
        #expect(left.gateway.takeEvents().isEmpty)
        #expect(left.lostFrames == 0)
    }

    /// A policy without its SA: the control thread hears what is wanted; once the SA is there, packets flow.
    @Test(arguments: [AddressFamily.ipv4, .ipv6])
    func acquire(family: AddressFamily) throws {
        let network = try MemoryNetwork(sites: 2)
        let (left, right) = (network.left, network.right)
        left.policies = MemoryNetwork.policies(of: left.plan, towards: right.plan, outer: .ipv4)
        right.policies = MemoryNetwork.policies(of: right.plan, towards: left.plan, outer: .ipv4)
        try left.publish()
        let packets = network.packets(family, count: 3)
        #expect(network.exchange(packets) == [])
        #expect(left.drops == [.noOutboundSA: 3])
        let wanted = left.gateway.takeEvents()
        #expect(wanted.count == 1, "one for all packets of a policy")
        let requestID = TunnelOptions.requestID(left.plan, right.plan)
        #expect(wanted.allSatisfy { $0.kind == .acquire && $0.number == requestID })
        #expect(
            wanted.allSatisfy { $0.address == right.plan.host(family) && $0.source == left.plan.host(family) })
        try network.addAssociations(from: left, to: right, TunnelOptions())
        try left.publish()
        try right.publish()
        #expect(network.exchange(packets) == packets.map { $0.routed(hops: 2) })
        #expect(left.drops == [.noOutboundSA: 3])
    }

    enum Mismatch: CaseIterable, Sendable { case noPolicy, discard, bypass, otherRequestID, otherEndpoints, selectors }

    /// What comes out of an SA passes only if the policies want it from that SA. They are asked anew for each snapshot,
    /// so it does not help a flow that it passed before.
    @Test(arguments: Mismatch.allCases, [AddressFamily.ipv4, .ipv6])
    func inbound(mismatch: Mismatch, family: AddressFamily) throws {
        let network = try MemoryNetwork(
            TunnelOptions {
                guard mismatch == .selectors else { return }
                // The sender's selectors, too, are narrower than its policy; but it is the receiver that is asked here.
                $0.change = { parameters in
                    let source = IPPrefix(host: SitePlan(1).host(family, 3))
                    parameters.selectors = [TrafficSelector(source: source, destination: SitePlan(2).network(family))]
                }
            })
        let right = network.right
        let packets = network.packets(family, count: 5)
        if mismatch == .selectors {
            try openSelectors(network)
        } else {
            #expect(network.exchange(packets) == packets.map { $0.routed(hops: 2) })
        }
        right.policies = right.policies.compactMap { policy in
            guard policy.direction == .forward, policy.selector.family == family else { return policy }
            var policy = policy
            switch mismatch {
            case .noPolicy: return nil
            case .discard: policy.action = .discard
            case .bypass: policy.action = .bypass
            case .otherRequestID: policy.action = .protect(SecurityPolicy.Protection(requestID: 999))
            case .otherEndpoints:
                policy.action = .protect(
                    SecurityPolicy.Protection(
                        requestID: TunnelOptions.requestID(network.left.plan, right.plan),
                        source: SitePlan(3).wanAddress(.ipv4), destination: right.plan.wanAddress(.ipv4)))
            case .selectors: break
            }
            return policy
        }
        try right.publish()
        #expect(network.exchange(packets) == [])
        let reason: DropReason =
            switch mismatch {
            case .noPolicy, .discard: .noInboundPolicy
            case .bypass, .otherRequestID, .otherEndpoints: .inboundProtectionMismatch
            case .selectors: .selectorMismatch
            }
        #expect(right.drops == [reason: 5])
        #expect(network.left.drops == [:])
        #expect(right.lostFrames == 0)
    }

    /// The sending SA takes everything, the receiving one has selectors.
    private func openSelectors(_ network: MemoryNetwork) throws {
        let left = network.left
        for association in left.outbound { left.builder.removeOutbound(association) }
        let parameters = TunnelOptions().parameters(from: left.plan, to: network.right.plan, number: 0, owner: 0)
        try left.builder.addOutbound(OutboundSA(parameters, engine: OpenSSLEngine(), now: network.clock.now))
        try left.publish()
    }
}
