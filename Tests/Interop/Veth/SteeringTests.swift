import Foundation
import Packets
import TestSupport
import Testing
import XDP

extension LiveGateways {
    /// The steering program on a gateway whose kernel forwards everything that reaches it.
    @Suite("Steering while the kernel forwards", .serialized)
    struct Steering {
        /// A tunnel, and at end A a kernel that would route both LANs' packets over the WAN.
        private func withForwarding(
            queues: Int = 1, _ options: GatewayOptions = GatewayOptions(),
            _ body: (TwoGateways, borrowing TunnelBetween) throws -> Void
        ) throws {
            try TwoGateways.with(queues: queues) { network in
                try network.gatewayA.sysctl(
                    "net.ipv4.ip_forward=1", "net.ipv4.conf.all.rp_filter=0", "net.ipv4.conf.default.rp_filter=0",
                    "net.ipv4.conf.lan0.rp_filter=0", "net.ipv4.conf.wan0.rp_filter=0",
                    "net.ipv4.conf.all.send_redirects=0")
                try network.gatewayA.ip("route add default via \(Side.b.outer(.ipv4))")
                try TunnelBetween.with(network, ManualTunnel(), options) { gateways in
                    let client = try client(network)
                    #expect(client.echo(payload: 56) == .reply)
                    try body(copy network, gateways)
                }
            }
        }

        private func client(_ network: TwoGateways) throws -> EchoClient {
            try EchoClient(from: network.lanA, to: Side.b.host(.ipv4), .ipv4, dontFragment: false)
        }

        /// Frames with an inner address of either LAN in clear.
        private func inClear(_ frames: [[UInt8]]) -> Int {
            frames.count { frame in
                frame.count >= 34 && frame[12] == 8 && frame[13] == 0
                    && [26, 30].contains { frame[$0] == 192 && frame[$0 + 1] == 168 }
            }
        }

        /// Echoes for a while, none of which may come back or cross the wire in clear.
        private func expectNothingInClear(_ network: TwoGateways, _ when: Comment) throws {
            let capture = try PacketCapture(TwoGateways.portA, in: network.wire)
            let client = try client(network)
            for _ in 0..<10 {
                #expect(client.echo(payload: 56, attempts: 1, within: .milliseconds(50)) == .lost, when)
            }
            #expect(inClear(capture.stop()) == 0, when)
        }

        private func attached(_ interface: String, _ namespace: NetworkNamespace) throws -> UInt32? {
            try namespace.perform { try SteeringProgram.attached(to: interface) }
        }

        /// What is sent to this MAC address from the namespace's interface.
        private func send(_ packet: IPPacket, to address: String, from interface: String, _ namespace: NetworkNamespace)
            throws
        {
            let socket = try PacketSocket(interface, in: namespace, ignoreOutgoing: true)
            let hardware = address.split(separator: ":").compactMap { UInt8($0, radix: 16) }
            #expect(socket.send(hardware + [2, 0, 0, 0, 0, 0x77, 8, 0] + packet.bytes))
        }

        private func packet(from source: String, to destination: String) throws -> IPPacket {
            IPPacket(
                from: try #require(IPAddress(source)), to: try #require(IPAddress(destination)), payload: [1, 2, 3, 4])
        }

        private func count(_ verdict: SteeringVerdict, _ port: String, _ gateway: SluiceGateway) throws -> Int {
            let ports = try gateway.status()["ports"].array.filter { $0["name"].string == port }
            return ports.flatMap { $0["steering"].array }.filter { $0["name"].string == verdict.name }
                .reduce(0) { $0 + ($1["packets"].int ?? 0) }
        }

        @Test("a gateway that is killed or ended leaks nothing until the boundary is opened", arguments: [true, false])
        func nothingAfterTheEnd(isKilled: Bool) throws {
            try withForwarding { network, gateways in
                if isKilled {
                    gateways.a.process.kill()
                } else {
                    gateways.a.process.terminate()
                }
                try expectNothingInClear(network, "after the end")
                // The programs hold it alone, too.
                try run(["nft", "delete", "table", "inet", "sluice"], in: network.gatewayA)
                try expectNothingInClear(network, "without the kernel's table")
                // That the test would see it: without the programs the kernel sends it in clear.
                let capture = try PacketCapture(TwoGateways.portA, in: network.wire)
                let text = try run([SluiceGateway.binary, "detach", "--control", "/nowhere"], in: network.gatewayA)
                #expect(
                    text.contains("steering program detached from wan0, lan0") || text.contains("lan0, wan0"), "\(text)"
                )
                let client = try client(network)
                _ = client.echo(payload: 56, attempts: 3, within: .milliseconds(200))
                #expect(inClear(capture.stop()) > 0)
            }
        }

        @Test("a port that is removed and comes back leaks nothing until it is served again")
        func portComesBack() throws {
            try withForwarding { network, gateways in
                let before = try #require(try attached("lan0", network.gatewayA))
                let capture = try PacketCapture(TwoGateways.portA, in: network.wire)
                try network.gatewayA.ip("link del lan0")
                try network.gatewayA.connect("lan0", to: network.lanA, "eth0")
                try network.gatewayA.ip("addr add \(Side.a.router(.ipv4))/24 dev lan0")
                try network.lanA.ip(
                    "addr add \(Side.a.host(.ipv4))/24 dev eth0", "route add default via \(Side.a.router(.ipv4))")
                // At once and all the time: before the new program, before its sockets, and through them.
                let client = try client(network)
                try eventually("an answer through the new lan0", within: .seconds(20)) {
                    client.echo(payload: 56, attempts: 1, within: .milliseconds(50)) == .reply
                }
                let now = try attached("lan0", network.gatewayA)
                #expect(now != nil && now != before)
                #expect(inClear(capture.stop()) == 0)
                #expect(gateways.a.isAlive)
                #expect(gateways.a.process.errors.contains("port is back as another interface"))
            }
        }

        @Test("queues that come later drop what they would have to protect")
        func moreQueues() throws {
            try TwoGateways.with(queues: 2) { network in
                try network.gatewayA.sysctl("net.ipv4.ip_forward=1")
                try network.gatewayA.ip("route add default via \(Side.b.outer(.ipv4))")
                try run(["ethtool", "-L", "lan0", "rx", "1", "tx", "1"], in: network.gatewayA)
                let options = GatewayOptions(mode: "generic")
                try TunnelBetween.with(network, ManualTunnel(), options) { gateways in
                    try run(["ethtool", "-L", "lan0", "rx", "2", "tx", "2"], in: network.gatewayA)
                    let capture = try PacketCapture(TwoGateways.portA, in: network.wire)
                    let packet = try packet(from: Side.a.host(.ipv4), to: Side.b.host(.ipv4))
                    for port in 0..<64 {
                        var flow = packet
                        flow.sourcePort = 40_000 + UInt16(port)
                        try send(flow, to: Side.a.lanHardwareAddress, from: "eth0", network.lanA)
                    }
                    try eventually("the log line") {
                        gateways.a.process.errors.contains("more queues than at the start")
                    }
                    #expect(inClear(capture.stop()) == 0)
                }
            }
        }

        @Test("what comes in clear from the WAN is neither forwarded nor sealed")
        func clearFromTheWAN() throws {
            try withForwarding { network, gateways in
                let inside = try PacketCapture("eth0", in: network.lanA)
                let wire = try PacketCapture(TwoGateways.portA, in: network.wire)
                let address = Side.a.wanHardwareAddress
                // As if from the other LAN, and as if from ours.
                let forged = try packet(from: Side.b.host(.ipv4), to: Side.a.host(.ipv4))
                try send(forged, to: address, from: "br0", network.wire)
                try send(
                    packet(from: "192.168.1.77", to: Side.b.host(.ipv4)), to: address, from: "br0", network.wire)
                try eventually("both are counted") {
                    try count(.dropClearInbound, "wan0", gateways.a) == 1
                        && count(.dropStranger, "wan0", gateways.a) == 1
                }
                let arrived = inside.stop().filter { $0.count > 34 && Array($0.suffix(4)) == [1, 2, 3, 4] }
                #expect(arrived.isEmpty)
                #expect(wire.stop().allSatisfy { WireContent($0) != .esp })
            }
        }

        @Test("frames for other stations are not tunnelled, though the port takes all")
        func otherStations() throws {
            try withForwarding { network, gateways in
                try network.gatewayA.ip("link set lan0 promisc on")
                let wire = try PacketCapture(TwoGateways.portA, in: network.wire)
                let packet = try packet(from: Side.a.host(.ipv4), to: Side.b.host(.ipv4))
                try send(packet, to: "02:00:00:00:00:99", from: "eth0", network.lanA)
                try eventually("it is counted") { try count(.passForeign, "lan0", gateways.a) > 0 }
                let frames = wire.stop()
                #expect(frames.allSatisfy { WireContent($0) != .esp } && inClear(frames) == 0)
            }
        }

        /// A router that shares its MAC address with others (VRRP) has it on a MAC-VLAN.
        @Test("a MAC-VLAN's frames are tunnelled, as soon as it is there")
        func macVLAN() throws {
            try withForwarding { network, gateways in
                let address = "00:00:5e:00:01:0a"
                try network.gatewayA.ip(
                    "link add vrrp0 link lan0 address \(address) type macvlan mode private", "link set vrrp0 up")
                let packet = try packet(from: Side.a.host(.ipv4), to: Side.b.host(.ipv4))
                let before = try gateways.a.status().packets("out")
                try eventually("sealed") {
                    try send(packet, to: address, from: "eth0", network.lanA)
                    return try gateways.a.status().packets("out") > before
                }
            }
        }
    }
}
