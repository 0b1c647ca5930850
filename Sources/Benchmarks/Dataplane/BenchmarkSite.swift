import Cryptography
import IPsec
import InMemory
import Packets
import Policy

/// The configuration of one of the two gateways of a benchmark: tunnels 10.0.0.1 → 10.0.0.2, one network and one SA per
/// tunnel, all neighbours known.
struct BenchmarkSite {
    enum Side { case sender, receiver }

    private let configuration: BenchmarkConfiguration
    private let side: Side
    private static let left = IPAddress(ipv4: 0x0A00_0001)
    private static let right = IPAddress(ipv4: 0x0A00_0002)
    private static let sourceNetwork = IPPrefix(address: BenchmarkTraffic.source, length: 24)

    init(_ configuration: BenchmarkConfiguration, side: Side) {
        self.configuration = configuration
        self.side = side
    }

    func snapshot(engine: any ESPEngine, key: SecretBytes) throws -> Snapshot {
        let builder = SnapshotBuilder(workers: 1)
        let interfaces: [(port: UInt16, address: IPAddress)] = [
            (MemoryGateway.lanPort, IPAddress(ipv4: 0xC0A8_0101)),
            (MemoryGateway.wanPort, side == .sender ? Self.left : Self.right),
        ]
        builder.setInterfaces(
            interfaces.map { port, address in
                PortInterface(
                    interfaceIndex: UInt32(port) + 1, port: port, linkAddress: Self.linkAddress(port), mtu: 1500,
                    addresses: [address])
            })
        let lan = UInt32(MemoryGateway.lanPort) + 1
        let wan = UInt32(MemoryGateway.wanPort) + 1
        let networks = side == .sender ? [] : (0..<configuration.associations).map(BenchmarkTraffic.network)
        builder.setRoutes(
            [RouteEntry(prefix: Self.wanNetwork, kind: .unicast(interfaceIndex: wan, gateway: nil))]
                + networks.map { RouteEntry(prefix: $0, kind: .unicast(interfaceIndex: lan, gateway: Self.router)) })
        builder.setNeighbours([
            NeighbourEntry(interfaceIndex: wan, address: Self.left, state: .resolved(Self.linkAddress(2))),
            NeighbourEntry(interfaceIndex: wan, address: Self.right, state: .resolved(Self.linkAddress(3))),
            NeighbourEntry(interfaceIndex: lan, address: Self.router, state: .resolved(Self.linkAddress(4))),
        ])
        try addTunnels(to: builder, engine: engine, key: key)
        return builder.build()
    }

    private static let router = IPAddress(ipv4: 0xC0A8_01FE)
    private static let wanNetwork = IPPrefix(address: left, length: 24)

    private static func linkAddress(_ last: UInt16) -> MACAddress { MACAddress(0x0200_0000_0000 | UInt64(last)) }

    private func addTunnels(to builder: SnapshotBuilder, engine: any ESPEngine, key: SecretBytes) throws {
        var policies: [SecurityPolicy] = []
        for number in 0..<configuration.associations {
            let requestID = UInt32(number) + 1
            let parameters = SAParameters(
                spi: 0x1000 + UInt32(number), source: Self.left, destination: Self.right,
                transform: configuration.transform, key: key, requestID: requestID,
                extendedSequenceNumbers: configuration.extendedSequenceNumbers)
            let selector = TrafficSelector(
                source: AddressRange(Self.sourceNetwork), destination: AddressRange(BenchmarkTraffic.network(number)))
            let protection = SecurityPolicy.Protection(
                requestID: requestID, source: Self.left, destination: Self.right)
            policies.append(
                SecurityPolicy(
                    selector: selector, direction: side == .sender ? .out : .forward, action: .protect(protection)))
            switch side {
            case .sender: try builder.addOutbound(OutboundSA(parameters, engine: engine, now: 1))
            case .receiver: try builder.addInbound(InboundSA(parameters, engine: engine, now: 1))
            }
        }
        try builder.setPolicies(policies)
    }
}
