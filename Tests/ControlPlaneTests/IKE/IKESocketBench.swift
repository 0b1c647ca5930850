import Foundation
import IKEv2
import Logging
import NIOCore
import NIOPosix
import Packets
import Platform
import Testing

@testable import ControlPlane

/// Sockets on an event loop, and what they delivered.
final class IKESocketBench: Sendable {
    struct Delivery: Equatable, Sendable {
        var bytes: [UInt8]
        var path: Path
    }

    let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
    let sockets: NIOLoopBound<IKESockets>
    let arrived: NIOLoopBound<Box>

    final class Box { var deliveries: [Delivery] = [] }

    init() throws {
        let eventLoop = group.next()
        let parts = try eventLoop.submit { () throws -> (NIOLoopBound<IKESockets>, NIOLoopBound<Box>) in
            let sockets = try IKESockets(
                ports: IKEPorts(plain: 0, encapsulated: 0),
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            let box = Box()
            sockets.start(on: eventLoop) { bytes, path in
                box.deliveries.append(Delivery(bytes: bytes, path: path))
            }
            return (
                NIOLoopBound(sockets, eventLoop: eventLoop), NIOLoopBound(box, eventLoop: eventLoop)
            )
        }.wait()
        (sockets, arrived) = parts
    }

    func on<Value: Sendable>(_ body: @escaping @Sendable (IKESockets) throws -> Value) throws -> Value {
        try group.next().submit { [sockets] in try body(sockets.value) }.wait()
    }

    func deliveries(_ count: Int) throws -> [Delivery] {
        for _ in 0..<500 {
            let now = try group.next().submit { [arrived] in arrived.value.deliveries }.wait()
            if now.count >= count { return now }
            usleep(10_000)
        }
        return try group.next().submit { [arrived] in arrived.value.deliveries }.wait()
    }

    func counters(until enough: (IKEDatagramCounters) -> Bool) throws -> IKEDatagramCounters {
        for _ in 0..<500 {
            let now = try on { $0.counters }
            if enough(now) { return now }
            usleep(10_000)
        }
        return try on { $0.counters }
    }

    func stop() throws {
        try on { $0.stop() }
        group.stop()
    }
}

/// An ordinary UDP socket on the loopback interface.
final class UDPPeer {
    private let socket: Socket
    let endpoint: Endpoint

    init(_ address: IPAddress) throws {
        let socket = try Socket(.udp(address.family))
        try socket.bind(to: Endpoint(address, port: 0).kernelAddress())
        endpoint = try #require(Endpoint(try socket.localAddress()))
        try socket.setReceiveTimeout(seconds: 5)
        self.socket = socket
    }

    func send(_ bytes: [UInt8], to remote: Endpoint) -> Int {
        (try? socket.send(bytes, to: remote.kernelAddress())) ?? -1
    }

    func receive() -> (bytes: [UInt8], from: Endpoint)? {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let received = try? buffer.withUnsafeMutableBytes { try socket.receiveDatagram(into: $0, waits: true) }
        guard let received, let sender = Endpoint(received.sender) else { return nil }
        return (Array(buffer.prefix(received.count)), sender)
    }
}
