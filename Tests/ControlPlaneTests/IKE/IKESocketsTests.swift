import Foundation
import IKEv2
import Logging
import Packets
import Testing

@testable import ControlPlane

/// The sockets of IKE on the loopback interface, against ordinary UDP sockets.
@Suite struct IKESocketsTests {
    struct Case: Sendable, CustomTestStringConvertible {
        /// Where the peer sends to: an address of the loopback interface that is not its first.
        var local: String
        var peer: String
        var hasMarker: Bool
        var size = 400
        var testDescription: String { "\(peer) to \(local), \(hasMarker ? "with" : "no") marker, \(size) bytes" }
    }

    static let cases = [
        Case(local: "127.0.0.1", peer: "127.0.0.1", hasMarker: false),
        Case(local: "127.0.77.9", peer: "127.0.0.1", hasMarker: false),
        Case(local: "127.0.77.9", peer: "127.3.0.1", hasMarker: true),
        Case(local: "127.0.77.9", peer: "127.3.0.1", hasMarker: true, size: 20_000),
        Case(local: "::1", peer: "::1", hasMarker: false),
        Case(local: "::1", peer: "::1", hasMarker: true, size: 20_000),
    ]

    @Test(arguments: cases) func theLocalAddressIsKnownAndUsedForTheAnswer(_ setting: Case) throws {
        let bench = try IKESocketBench()
        defer { try? bench.stop() }
        let (local, peerAddress) = (try #require(IPAddress(setting.local)), try #require(IPAddress(setting.peer)))
        let port = try #require(try bench.on { $0.port(local.family, hasMarker: setting.hasMarker) })
        let peer = try UDPPeer(peerAddress)
        let here = Endpoint(local, port: port)
        let message = (0..<setting.size).map { UInt8(truncatingIfNeeded: $0) | 1 }
        let onTheWire = (setting.hasMarker ? [0, 0, 0, 0] : []) + message
        #expect(peer.send(onTheWire, to: here) == onTheWire.count)
        let path = Path(local: here, remote: peer.endpoint)
        #expect(try bench.deliveries(1) == [IKESocketBench.Delivery(bytes: message, path: path)])

        try bench.on { $0.send(message.reversed(), path: path) }
        let answer = try #require(peer.receive())
        #expect(answer.from == here)
        #expect(answer.bytes == (setting.hasMarker ? [0, 0, 0, 0] : []) + message.reversed())

        try bench.on { $0.sendKeepalive(path: path) }
        #expect(peer.receive()?.bytes == [0xFF])
        let counters = try bench.on { $0.counters }
        #expect(counters.received == 1 && counters.sent == 1 && counters.keepalivesSent == 1)
        #expect(counters.sendFailures == 0)
    }

    @Test func whatIsNoIKEIsCountedAndDropped() throws {
        let bench = try IKESocketBench()
        defer { try? bench.stop() }
        let loopback = IPAddress(ipv4: 0x7F00_0001)
        let port = try #require(try bench.on { $0.port(.ipv4, hasMarker: true) })
        let peer = try UDPPeer(loopback)
        for bytes in [[0xFF], [0, 0, 0x12, 0x34, 0, 0, 0, 1] + [UInt8](repeating: 7, count: 40), [], [0, 0, 0, 0, 9]] {
            _ = peer.send(bytes, to: Endpoint(loopback, port: port))
        }
        let counters = try bench.counters { $0.keepalivesReceived + $0.espReceived + $0.malformed == 4 }
        #expect(counters.keepalivesReceived == 1)
        #expect(counters.espReceived == 1)
        #expect(counters.malformed == 2)
        #expect(counters.received == 0)
        #expect(try bench.deliveries(0).isEmpty)
    }

    @Test func aSocketWhoseChannelEndsIsReadAgain() throws {
        let bench = try IKESocketBench()
        defer { try? bench.stop() }
        let loopback = IPAddress(ipv4: 0x7F00_0001)
        let port = try #require(try bench.on { $0.port(.ipv4, hasMarker: false) })
        let peer = try UDPPeer(loopback)
        let message = [UInt8](repeating: 1, count: 28)
        _ = peer.send(message, to: Endpoint(loopback, port: port))
        #expect(try bench.deliveries(1).count == 1)
        try bench.on { for receiver in $0.receivers { receiver.channel?.close(promise: nil) } }
        _ = peer.send(message, to: Endpoint(loopback, port: port))
        #expect(try bench.deliveries(2).count == 2)
    }

    @Test func aDatagramFromAnAddressThatIsNotOursIsNotSent() throws {
        let bench = try IKESocketBench()
        defer { try? bench.stop() }
        let port = try #require(try bench.on { $0.port(.ipv4, hasMarker: false) })
        let peer = try UDPPeer(IPAddress(ipv4: 0x7F00_0001))
        try bench.on { [endpoint = peer.endpoint] in
            $0.send([1], path: Path(local: Endpoint(IPAddress(ipv4: 0xC000_0201), port: port), remote: endpoint))
            $0.send([1], path: Path(local: Endpoint(IPAddress(ipv4: 0x7F00_0001), port: 1), remote: endpoint))
        }
        let counters = try bench.on { $0.counters }
        #expect(counters.sendFailures == 2 && counters.sent == 0)
    }

    @Test func aPortInUseIsAnErrorThatNamesWhoHasIt() throws {
        let peer = try UDPPeer(IPAddress(ipv4: 0x7F00_0001))
        let (port, address) = (peer.endpoint.port, peer.endpoint.address)
        let error = #expect(throws: IKESocketError.self) {
            _ = try IKESockets(
                ports: IKEPorts(plain: port, encapsulated: 0), addresses: [address], logger: Logger(label: "test"))
        }
        let text = error?.description ?? ""
        #expect(text.contains("UDP port \(port) (IPv4) is in use by"))
        #expect(text.contains("(process \(getpid()))"), "\(text)")
    }

    /// However many datagrams of strangers wait, those of a known peer have room.
    @Test(arguments: [false, true]) func strangersHaveAQueueOfTheirOwn(hasMarker: Bool) throws {
        let bench = try IKESocketBench()
        defer { try? bench.stop() }
        let port = try #require(try bench.on { $0.port(.ipv4, hasMarker: hasMarker) })
        let (stranger, known) = (try UDPPeer(IPAddress(ipv4: 0x7F00_0002)), try UDPPeer(IPAddress(ipv4: 0x7F00_0003)))
        let here = Endpoint(IPAddress(ipv4: 0x7F00_0001), port: port)
        try bench.on { [address = known.endpoint.address] in $0.setKnown([address]) }
        // The loop does something else meanwhile.
        bench.group.next().execute { usleep(400_000) }
        usleep(50_000)
        let marker: [UInt8] = hasMarker ? [0, 0, 0, 0] : []
        for _ in 0..<10_000 { _ = stranger.send(marker + [UInt8](repeating: 1, count: 600), to: here) }
        _ = known.send(marker + [UInt8](repeating: 2, count: 600), to: here)
        var arrived: [IKESocketBench.Delivery] = []
        for _ in 0..<200 where !arrived.contains(where: { $0.path.remote == known.endpoint }) {
            usleep(10_000)
            arrived = try bench.deliveries(0)
        }
        #expect(arrived.contains { $0.path.remote == known.endpoint && $0.bytes == [UInt8](repeating: 2, count: 600) })
        // The strangers' datagrams that fitted into their queue come too, the others are lost.
        let counters = try bench.counters { $0.received > 100 }
        #expect(counters.received > 100)
        usleep(300_000)
        #expect(try bench.on { $0.counters.received } < 10_000)
        // Who is known no longer waits with the others.
        try bench.on { $0.setKnown([]) }
        let before = try bench.on { $0.counters.received }
        _ = known.send(marker + [UInt8](repeating: 3, count: 600), to: here)
        #expect(try bench.counters { $0.received > before }.received > before)
    }

    @Test func theSourceTowardsAPeerIsTheKernelsChoice() throws {
        #expect(SourceAddress.towards(try #require(IPAddress("127.0.0.9")))?.isLoopback == true)
        #expect(SourceAddress.towards(try #require(IPAddress("::1"))) == IPAddress("::1"))
    }
}
