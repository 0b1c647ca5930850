import Glibc
import IPsec
import Netlink
import Packets
import TestSupport
import Testing

@testable import Gateway

/// The table in the kernel: its making, exchange, loss and end. What it drops is the leak suite's matter.
@Suite struct KernelGuardTests {
    private static func boundary(_ networks: Int, wan: String = "wan0") -> KernelGuard.Boundary {
        let traffic = (0..<networks).map { site in
            CoveredTraffic(
                name: "site/\(site)",
                selector: TrafficSelector(
                    source: AddressRange(IPPrefix(address: IPAddress(ipv4: 0x0A01_0000), length: 16)),
                    // Every other network, so that none can be joined to its neighbour.
                    destination: AddressRange(IPPrefix(address: IPAddress(ipv4: UInt32(site) << 9), length: 24))),
                action: .protect, priority: 0)
        }
        return KernelGuard.Boundary(CoveredList(traffic), lan: ["lan0"], wan: [wan])
    }

    @Test func closeReportOpen() throws {
        let namespace = try NetworkNamespace("guard")
        defer { namespace.remove() }
        try namespace.perform {
            var guardian = try KernelGuard()
            #expect(try guardian.report() == nil && guardian.open() == nil)
            try guardian.close(Self.boundary(2))
            let closed = ["site/0: 10.1.0.0/16 -> 0.0.0.0/24", "site/1: 10.1.0.0/16 -> 0.0.2.0/24"]
            #expect(try guardian.report() == .init(counts: .init(), closed: closed))
            // Another process finds it too.
            #expect(try KernelGuard().report()?.closed == closed)
            try guardian.close(Self.boundary(1))
            #expect(try guardian.report()?.closed == [closed[0]])
            #expect(try guardian.open()?.closed == [closed[0]])
            #expect(try guardian.report() == nil)
        }
    }

    /// What `nft flush ruleset` of somebody else takes away comes back.
    @Test func comesBack() throws {
        let namespace = try NetworkNamespace("guard")
        defer { namespace.remove() }
        try namespace.perform {
            var guardian = try KernelGuard()
            try guardian.close(Self.boundary(3))
            #expect(try !guardian.restoreIfGone())
            try run(["nft", "flush", "ruleset"], in: namespace)
            #expect(try guardian.report() == nil)
            #expect(try guardian.restoreIfGone())
            #expect(try guardian.report()?.closed.count == 3)
        }
    }

    /// More than one message's worth of elements, exchanged as a whole; a change that the kernel refuses leaves what was there.
    @Test func manyAndRefused() throws {
        let namespace = try NetworkNamespace("guard")
        defer { namespace.remove() }
        try namespace.perform {
            var guardian = try KernelGuard()
            try guardian.close(Self.boundary(10_000))
            #expect(try guardian.report()?.closed.count == 10_000)
            let session = try NetfilterSession(table: KernelGuard.table)
            #expect(throws: NetlinkError.self) {
                try session.commit("test") { batch in
                    batch.deleteTable()
                    batch.addTable()
                    batch.addRule("no such chain", .drop)
                }
            }
            #expect(try guardian.report()?.closed.count == 10_000)
            try guardian.close(Self.boundary(1))
            #expect(try guardian.report()?.closed.count == 1)
        }
    }

    /// Packets are sent all the time while tables take each other's place: not one passes.
    @Test func noPacketFindsAGap() throws {
        func boundary(_ number: Int) -> KernelGuard.Boundary {
            let selector = TrafficSelector(
                source: AddressRange(IPPrefix(address: IPAddress(ipv4: 0x0A01_0000), length: 16)),
                destination: AddressRange(IPPrefix(address: IPAddress(ipv4: 0x0B00_0000), length: 8 + number % 2)))
            return KernelGuard.Boundary(
                CoveredList([CoveredTraffic(name: "all", selector: selector, action: .protect, priority: 0)]),
                lan: [], wan: [])
        }
        let namespace = try NetworkNamespace("guard")
        defer { namespace.remove() }
        try namespace.ip(
            "link add port type veth peer name far", "addr add 10.1.0.1/16 dev port", "link set far up",
            "link set port up", "route add default dev port")
        try namespace.perform {
            var guardian = try KernelGuard()
            try guardian.close(boundary(0))
            let sender = try RunningProcess(["python3", "-u", "-c", Self.sender], in: namespace)
            defer { sender.kill() }
            try eventually("sender") { sender.output.contains("ready") }
            for number in 1...300 { try guardian.close(boundary(number)) }
            sender.signal(SIGTERM)
            #expect(sender.wait(atMost: .seconds(20)) == .exited(0))
            let words = sender.output.split(whereSeparator: \.isWhitespace).map(String.init)
            #expect(words.count == 5 && words[4] == "0" && (Int(words[2]) ?? 0) > 1000, "\(sender.output)")
        }
    }

    /// Sends to a closed network until SIGTERM, for a minute at most: the kernel says of each packet whether it was dropped.
    private static let sender = """
        import signal, socket, time
        running = True
        def stop(*_):
            global running
            running = False
        signal.signal(signal.SIGTERM, stop)
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.bind(("10.1.0.1", 0))
        held = passed = 0
        end = time.monotonic() + 60
        print("ready")
        while running and time.monotonic() < end:
            try:
                s.sendto(b"x", ("11.0.0.1", 9))
                passed += 1
            except PermissionError:
                held += 1
        print("held", held, "passed", passed)
        """
}
