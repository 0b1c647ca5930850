/// Both gateways of a topology, running, with the same tunnel.
public struct TunnelBetween {
    public let a: SluiceGateway
    public let b: SluiceGateway

    /// Starts both gateways, hands them to `body`, and ends them. When `body` fails the error says what both saw.
    public static func with<T>(
        _ network: TwoGateways, _ tunnel: ManualTunnel, _ options: GatewayOptions = GatewayOptions(),
        _ body: (borrowing TunnelBetween) throws -> T
    ) throws -> T {
        let gateways = try TunnelBetween(
            a: SluiceGateway(tunnel.batch(.a), in: network.gatewayA, options),
            b: SluiceGateway(tunnel.batch(.b), in: network.gatewayB, options))
        defer {
            gateways.a.process.terminate()
            gateways.b.process.terminate()
        }
        return try SluiceGateway.explaining([gateways.a, gateways.b]) { try body(gateways) }
    }
}
