import Packets
import Platform
import Testing

@Suite struct SocketTests {
    @Test(arguments: ["127.0.0.1", "::1"]) func datagramsComeWithTheirSender(_ text: String) throws {
        let address = try #require(IPAddress(text))
        let one = try Socket(.udp(address.family))
        let other = try Socket(.udp(address.family))
        try one.bind(to: KernelAddress(address, port: 0))
        try other.bind(to: KernelAddress(address, port: 0))
        let aim = try other.localAddress()
        #expect(aim.internet?.address == address && aim.internet?.port != 0)
        #expect(try one.send([1, 2, 3], to: aim) == 3)
        var buffer = [UInt8](repeating: 0, count: 2)
        let (count, sender) = try buffer.withUnsafeMutableBytes { try other.receiveDatagram(into: $0, waits: true) }
        // More than fits: its length tells.
        #expect(count == 3 && buffer == [1, 2])
        #expect(try sender.internet?.port == one.localAddress().internet?.port)
        #expect(throws: Errno.wouldBlock) {
            try withUnsafeTemporaryAllocation(byteCount: 8, alignment: 1) {
                try other.receiveDatagram(into: $0, waits: false).count
            }
        }
    }

    /// The sender chooses which of its addresses a datagram comes from.
    @Test func theSourceIsOfTheSendersChoice() throws {
        let one = try Socket(.udp(.ipv4))
        let other = try Socket(.udp(.ipv4))
        try one.bind(to: KernelAddress(.unspecified(.ipv4), port: 0))
        try other.bind(to: KernelAddress(try #require(IPAddress("127.0.0.1")), port: 0))
        let source = try #require(IPAddress("127.0.0.7"))
        let failure = PacketInformation.send(
            [9, 8], prefix: 4, from: source, to: try other.localAddress(), interface: 0, by: one)
        #expect(failure == nil)
        var buffer = [UInt8](repeating: 0xFF, count: 16)
        let (count, sender) = try buffer.withUnsafeMutableBytes { try other.receiveDatagram(into: $0, waits: true) }
        #expect(buffer.prefix(count) == [0, 0, 0, 0, 9, 8])
        #expect(sender.internet?.address == source)
        let stranger = try #require(IPAddress("203.0.113.7"))
        #expect(
            PacketInformation.send(
                [1], prefix: 0, from: stranger, to: try other.localAddress(), interface: 0, by: one) != nil)
    }

    @Test func theDestinationOfAPacketIsRead() throws {
        let one = try Socket(.udp(.ipv6))
        let other = try Socket(.udp(.ipv6), isNonBlocking: true)
        try other.turnOn(.ipv6Only)
        try other.turnOn(.receivesPacketInformation(.ipv6))
        try other.turnOn(.receivesTrafficClass)
        let address = try #require(IPAddress("::1"))
        try other.bind(to: KernelAddress(.unspecified(.ipv6), port: 0))
        var buffer = [UInt8](repeating: 0, count: 4)
        #expect(buffer.withUnsafeMutableBytes { PacketInformation.receive(into: $0, by: other) } == nil)
        let port = try #require(try other.localAddress().internet?.port)
        try one.send([5, 6], to: KernelAddress(address, port: port))
        let packet = buffer.withUnsafeMutableBytes { PacketInformation.receive(into: $0, by: other) }
        #expect(packet?.count == 2 && packet?.isCut == false)
        #expect(packet?.source == address && packet?.destination == address && packet?.trafficClass == 0)
        try one.send([5, 6, 7, 8, 9], to: KernelAddress(address, port: port))
        #expect(buffer.withUnsafeMutableBytes { PacketInformation.receive(into: $0, by: other) }?.isCut == true)
    }

    @Test func anAbstractNameBelongsToOneSocket() throws {
        let name = KernelAddress(abstract: "sluice-test-\(CurrentProcess.identifier)-\(SystemClock.sinceBoot())")
        do {
            let first = try Socket(.localDatagrams)
            try first.bind(to: name)
            let second = try Socket(.localDatagrams)
            #expect(throws: Errno.addressInUse) { try second.bind(to: name) }
        }
        try Socket(.localDatagrams).bind(to: name)
    }

    @Test func pathsThatAreTooLong() {
        #expect(KernelAddress.longestPath == 107)
        #expect(KernelAddress(path: String(repeating: "x", count: 107)) != nil)
        #expect(KernelAddress(path: String(repeating: "x", count: 108)) == nil)
        #expect(KernelAddress(path: "") == nil)
        #expect(KernelAddress(path: "/run/x")?.internet == nil)
    }

    @Test func optionsAreReadBack() throws {
        let socket = try Socket(.udp(.ipv4))
        #expect(try socket.get(.sharesPort, Int32(-1)) == 0)
        try socket.turnOn(.sharesPort)
        #expect(try socket.get(.sharesPort, Int32(-1)) == 1)
        #expect(throws: Errno.self) { try socket.turnOn(.ipv6Only) }
        try socket.setReceiveTimeout(seconds: 1)
        socket.setReceiveBuffer(bytes: 1 << 16)
    }

    @Test func namesOfTheSystem() throws {
        let index = try #require(SystemNames.interfaceIndex("lo"))
        #expect(index > 0)
        #expect(SystemNames.interfaceIndex("no-such-if") == nil)
        #expect(try SystemNames.interfaces().contains("lo"))
        #expect(SystemNames.addresses(of: "127.0.0.1", atMost: 4) == [try #require(IPAddress("127.0.0.1"))])
        #expect(AddressFamily(domain: AddressFamily.ipv6.domain) == .ipv6)
        #expect(AddressFamily(domain: AddressFamily.noDomain) == nil)
    }
}
