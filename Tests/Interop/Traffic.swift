import TestSupport
import Testing

/// The two LANs of a topology, and what a tunnel between them must carry.
struct Traffic {
    let lanA: NetworkNamespace
    let lanB: NetworkNamespace

    init(_ network: TwoGateways) {
        lanA = network.lanA
        lanB = network.lanB
    }

    init(_ network: GatewayAndPeer) {
        lanA = network.lanA
        lanB = network.lanB
    }

    init(_ network: RoutedSites) {
        lanA = network.lanA
        lanB = network.lanB
    }

    /// Payload sizes around every edge: nothing, one byte, each padding residue, each ESP alignment near the largest
    /// packet that fits an untunnelled and a tunnelled link, and what has to be fragmented.
    static let sizes =
        [0, 1, 2, 3, 4, 5, 17, 56, 64, 127, 128, 255, 256, 511, 1000, 1300] + Array(1370...1412) + [
            1440, 1452, 1453, 1471, 1472, 1473, 2000, 4000,
        ]

    private func lan(_ side: Side) -> NetworkNamespace { side == .a ? lanA : lanB }

    /// Echoes of each size from one side's host to the other's must come back unchanged.
    func echo(
        from side: Side, _ version: IPVersion, sizes: [Int] = sizes, dontFragment: Bool = false,
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let client = try EchoClient(
            from: lan(side), to: side.other.host(version), version, dontFragment: dontFragment)
        for size in sizes {
            let outcome = client.echo(payload: size)
            try #require(
                outcome == .reply, "\(version) from \(side), payload of \(size) bytes", sourceLocation: sourceLocation)
        }
    }

    /// Echoes both ways in both families.
    func echoEveryWay(sizes: [Int] = sizes, sourceLocation: SourceLocation = #_sourceLocation) throws {
        for version in IPVersion.allCases {
            for side in Side.allCases {
                try echo(from: side, version, sizes: sizes, sourceLocation: sourceLocation)
            }
        }
    }

    /// A file sent over TCP arrives as it was.
    func transfer(
        _ bytes: Int, from side: Side, _ version: IPVersion, sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let failure = try Transfer.run(
            bytes: bytes, from: lan(side), to: lan(side.other), address: side.other.host(version), version)
        try #require(failure == nil, "\(version) from \(side)", sourceLocation: sourceLocation)
    }

    /// Bytes that one TCP stream of iperf3 brings from one side's host to the other's.
    func stream(from side: Side, seconds: Int) throws -> Int {
        let server = try RunningProcess(["iperf3", "-s"], in: lan(side.other))
        defer { server.terminate() }
        let command = ["iperf3", "-c", side.other.host(.ipv4), "-t", "\(seconds)", "-J"]
        var bytes = 0
        // The server may not listen yet when the client asks first; with -J that is no error for its exit status.
        try eventually("iperf3 run", within: .seconds(60), every: .milliseconds(200)) {
            let result = try attempt(command, in: lan(side))
            guard result.status == 0 else { return false }
            bytes = try JSON(result.output)["end"]["sum_received"]["bytes"].int ?? 0
            return bytes > 0
        }
        return bytes
    }
}
