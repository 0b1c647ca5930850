import Foundation
import IKEv2
import IPsec
import Logging
import NIOCore
import NIOPosix
import Packets
import Testing

@testable import ControlPlane

/// Two whole session managers on one event loop, each with a control socket; datagrams go from one to the other, and
/// SAs exist in memory only.
final class PairedGateways: Sendable {
    let left: String
    let right: String
    private let group: MultiThreadedEventLoopGroup
    private let servers: [VICIServer]
    private let timer: RepeatedTask
    private let hubs: [EventHub]

    static func with(_ body: (PairedGateways) throws -> Void) throws {
        let pair = try PairedGateways()
        defer { pair.stop() }
        try body(pair)
    }

    init() throws {
        group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        let loop = group.next()
        let (nodes, registries, hubs) = try loop.submit {
            let nodes = [
                Node(IPAddress(ipv4: 0x0A62_0001), on: loop), Node(IPAddress(ipv4: 0x0A62_0002), on: loop),
            ]
            (nodes[0].peer, nodes[1].peer) = (nodes[1], nodes[0])
            let registries = nodes.map { node in
                var registry = CommandRegistry()
                IKECommands.register(node.control, on: loop, in: &registry)
                return registry
            }
            return (NIOLoopBound(nodes, eventLoop: loop), registries, nodes.map(\.control.hub))
        }.wait()
        self.hubs = hubs
        timer = loop.scheduleRepeatedTask(initialDelay: .zero, delay: .milliseconds(10)) { _ in
            for node in nodes.value { node.manager.advance(to: Node.clock()) }
        }
        let quiet = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        let name = UUID().uuidString.prefix(8)
        (left, right) = (NSTemporaryDirectory() + "left-\(name).vici", NSTemporaryDirectory() + "right-\(name).vici")
        servers = [
            try VICIServer.start(path: left, registry: registries[0], group: group, logger: quiet),
            try VICIServer.start(path: right, registry: registries[1], group: group, logger: quiet),
        ]
    }

    /// Waits until a client of the right one has registered for all of these events; fails after a minute.
    func waitUntilRightTells(_ events: some Sequence<String> & Sendable) throws {
        for _ in 0..<6000 {
            if try group.next().submit({ [hubs] in events.allSatisfy(hubs[1].isWanted) }).wait() { return }
            usleep(10_000)
        }
        Issue.record("nobody has registered for the events within a minute")
    }

    func stop() {
        timer.cancel()
        for server in servers { try? server.stop() }
        group.stop()
    }
}

/// One of the two.
private final class Node: ManagerOutput {
    let address: IPAddress
    let loop: any EventLoop
    /// The other one; both live as long as the event loop's timer.
    var peer: Node?
    lazy var manager = SessionManager(
        settings: ProtocolSettings(), dataplane: MemoryDataplane(), output: self, now: Self.clock(),
        wallClock: { Int64(time(nil)) })
    lazy var control = IKEControl(manager: manager, hub: EventHub(on: loop), clock: Self.clock)

    static func clock() -> Instant { Instant(nanoseconds: DispatchTime.now().uptimeNanoseconds) }

    init(_ address: IPAddress, on loop: any EventLoop) {
        self.address = address
        self.loop = loop
    }

    func send(_ datagram: [UInt8], path: Path) {
        let bound = NIOLoopBound(self, eventLoop: loop)
        loop.execute {
            guard let peer = bound.value.peer, peer.address == path.remote.address else { return }
            peer.manager.receive(datagram, path: Path(local: path.remote, remote: path.local), at: Self.clock())
        }
    }

    func sendKeepalive(path: Path) {}
    func sourceAddress(towards remote: IPAddress) -> IPAddress? { address }
    func resolve(_ name: String, request: UInt64) { manager.resolved([], request: request, at: Self.clock()) }
    func report(_ event: ManagerEvent) { control.report(event) }
    func logKeys(_ line: KeyLogLine) {}
}

/// Takes every SA, and counts SPIs up.
private final class MemoryDataplane: ChildDataplane {
    private var lastSPI: SPI = 0x1000

    func allocateSPI() -> SPI {
        lastSPI += 1
        return lastSPI
    }

    func releaseSPI(_ spi: SPI) {}
    func installInbound(_ sa: ChildSA) {}
    func installOutbound(_ sa: ChildSA) {}
    func removeInbound(_ sa: ChildSA) {}
    func removeOutbound(_ sa: ChildSA) {}
    func move(_ sa: ChildSA, to path: Path, isEncapsulated: Bool) {}
    func cover(_ cover: ChildCover) {}
    func uncover(connection: String, child: String) {}
    func usage(of sa: ChildSA) -> ChildUsage? { ChildUsage() }
}
