import Packets
import Telemetry
import Testing

@testable import Policy

@Suite("Longest prefix match")
struct LongestPrefixTests {
    @Test("Random tables give what a plain list gives, within the bound of probes", arguments: 0..<40)
    func model(seed: Int) throws {
        var random = SeededGenerator(seed: seed)
        let family: AddressFamily = seed % 2 == 0 ? .ipv4 : .ipv6
        let width = family == .ipv4 ? 32 : 128
        var routes: [IPPrefix: UInt32] = [:]
        for number in 0..<[1, 3, 30, 400][seed / 2 % 4] {
            let length = random.chance(10) ? 0 : Int.random(in: 0...width, using: &random)
            routes[IPPrefix(address: randomAddress(family, &random), length: length)] = UInt32(number + 1)
        }
        let tables = LongestPrefixTables(routes, family: family, none: 0)
        let lengths = Set(routes.keys.map(\.length)).subtracting([0]).count
        // ⌈log2(n + 1)⌉ is the number of binary digits of n.
        let bound = Int.bitWidth - lengths.leadingZeroBitCount
        let ends = routes.keys.flatMap { [$0.first, $0.last] }
        for number in 0..<1000 {
            let target = number < ends.count ? ends[number] : randomAddress(family, &random)
            let expected = routes.filter { $0.key.contains(target) }.max { $0.key.length < $1.key.length }?.value ?? 0
            var steps = CountedSteps()
            #expect(tables.table.find(target, steps: &steps) == expected, "\(target)")
            #expect(steps.tuples <= bound)
        }
    }

    @Test("A marker without a route below it does not hide the default route")
    func markers() throws {
        let routes =
            try [
                prefix("0.0.0.0/0"): 1, prefix("10.1.2.0/24"): 2, prefix("172.16.0.0/16"): 3, prefix("10.1.2.3/32"): 4,
            ] as [IPPrefix: UInt32]
        let tables = LongestPrefixTables(routes, family: .ipv4, none: 0)
        var steps = NoSteps()
        for (text, expected) in [("10.1.2.3", 4), ("10.1.2.4", 2), ("10.1.3.3", 1), ("172.16.9.9", 3), ("8.8.8.8", 1)]
            as [(String, UInt32)]
        {
            #expect(tables.table.find(try address(text), steps: &steps) == expected, "\(text)")
        }
    }

    @Test("100,000 routes: as many probes as a few")
    func large() {
        var routes: [IPPrefix: UInt32] = [:]
        for number in 0..<100_000 as Range<UInt32> {
            routes[IPPrefix(address: IPAddress(ipv4: 0x0100_0000 &+ number << 8), length: 24 - Int(number % 4))] =
                number + 1
        }
        let tables = LongestPrefixTables(routes, family: .ipv4, none: 0)
        var entries = 0
        var misses = 0
        var worst = 0
        for number in 0..<100_000 as Range<UInt32> {
            var steps = CountedSteps()
            if tables.table.find(IPAddress(ipv4: 0x0100_0005 &+ number << 8), steps: &steps) == 0 { misses += 1 }
            worst = max(worst, steps.tuples)
            entries += steps.entries
        }
        #expect(misses == 0 && worst <= 3)
        #expect(entries < 600_000)
    }

    /// Addresses that share many bits, so that prefixes of all lengths contain each other.
    private func randomAddress(_ family: AddressFamily, _ random: inout SeededGenerator) -> IPAddress {
        let sparse = random.next() & random.next() & random.next()
        switch family {
        case .ipv4: return IPAddress(ipv4: UInt32(truncatingIfNeeded: sparse))
        case .ipv6:
            return IPAddress(ipv6High: random.next() & random.next() & random.next() & random.next(), low: sparse)
        }
    }
}

@Suite("Routes, neighbours and next hops")
struct ForwardingTests {
    static let lan = PortInterface(
        interfaceIndex: 2, port: 0, linkAddress: MACAddress(0x0200_0000_0001), mtu: 1500,
        addresses: [
            IPAddress(ipv4: 0xA9FE_0001), IPAddress(ipv4: 0x0A01_0001),
            IPAddress(ipv6High: 0xFE80_0000_0000_0000, low: 1),
        ])
    static let wan = PortInterface(
        interfaceIndex: 3, port: 1, vlan: 100, linkAddress: MACAddress(0x0200_0000_0002), mtu: 9000,
        addresses: [
            IPAddress(ipv4: 0xC000_0201), IPAddress(ipv6High: 0xFE80_0000_0000_0000, low: 2),
            IPAddress(ipv6High: 0x2001_0DB8_0000_0000, low: 2),
        ])
    static let down = PortInterface(interfaceIndex: 4, port: 2, linkAddress: MACAddress(0x0200_0000_0003), isUp: false)
    static let peer = MACAddress(0x0AFF_FFFF_FF01)

    private func builder() throws -> SnapshotBuilder {
        let builder = SnapshotBuilder(workers: 1)
        builder.setInterfaces([Self.lan, Self.wan, Self.down])
        builder.setRoutes([
            RouteEntry(prefix: try prefix("10.1.0.0/16"), kind: .unicast(interfaceIndex: 2, gateway: nil)),
            RouteEntry(prefix: try prefix("10.1.0.1"), kind: .local),
            RouteEntry(
                prefix: try prefix("10.9.0.0/16"),
                kind: .unicast(interfaceIndex: 3, gateway: try address("192.0.2.254"))),
            RouteEntry(
                prefix: try prefix("10.8.0.0/16"),
                kind: .unicast(interfaceIndex: 3, gateway: try address("192.0.2.253"))),
            RouteEntry(
                prefix: try prefix("10.7.0.0/16"),
                kind: .unicast(interfaceIndex: 3, gateway: try address("2001:db8::fe"))),
            RouteEntry(prefix: try prefix("10.6.0.0/16"), kind: .unicast(interfaceIndex: 4, gateway: nil)),
            RouteEntry(prefix: try prefix("10.5.0.0/16"), kind: .unicast(interfaceIndex: 77, gateway: nil)),
            RouteEntry(prefix: try prefix("10.4.0.0/16"), kind: .unreachable),
            RouteEntry(prefix: try prefix("10.3.0.0/16"), kind: .prohibit),
            RouteEntry(prefix: try prefix("10.2.0.0/16"), kind: .blackhole),
            RouteEntry(prefix: try prefix("2001:db8::/32"), kind: .unicast(interfaceIndex: 3, gateway: nil)),
        ])
        builder.setNeighbours([
            NeighbourEntry(interfaceIndex: 2, address: try address("10.1.0.5"), state: .resolved(Self.peer)),
            NeighbourEntry(interfaceIndex: 2, address: try address("10.1.0.6"), state: .failed),
            NeighbourEntry(interfaceIndex: 2, address: try address("10.1.0.7"), state: .unresolved),
            NeighbourEntry(interfaceIndex: 3, address: try address("10.1.0.8"), state: .resolved(Self.peer)),
            NeighbourEntry(interfaceIndex: 3, address: try address("192.0.2.254"), state: .resolved(Self.peer)),
            NeighbourEntry(interfaceIndex: 3, address: try address("2001:db8::fe"), state: .resolved(Self.peer)),
            NeighbourEntry(interfaceIndex: 4, address: try address("10.6.0.5"), state: .resolved(Self.peer)),
            NeighbourEntry(interfaceIndex: 99, address: try address("10.1.0.9"), state: .resolved(Self.peer)),
        ])
        return builder
    }

    @Test(
        "Every destination has a next hop with a state and a verdict",
        arguments: [
            ("10.1.0.5", .resolved, 0, "10.1.0.5", .pass),
            ("10.1.0.6", .failed, 0, "10.1.0.6", .drop(.neighbourFailed)),
            ("10.1.0.7", .unresolved, 0, "10.1.0.7", .drop(.neighbourUnresolved)),
            ("10.1.0.8", .unresolved, 0, "0.0.0.0", .drop(.neighbourUnresolved)),
            ("10.1.0.1", .local, NextHop.noPort, "0.0.0.0", .drop(.localDeliveryUnavailable)),
            ("10.9.1.1", .resolved, 1, "192.0.2.254", .pass),
            ("10.8.1.1", .unresolved, 1, "192.0.2.253", .drop(.neighbourUnresolved)),
            ("10.7.1.1", .resolved, 1, "2001:db8::fe", .pass),
            ("10.6.0.5", .unreachable, 2, "10.6.0.5", .drop(.routeUnreachable)),
            ("10.6.0.6", .unreachable, 2, "0.0.0.0", .drop(.routeUnreachable)),
            ("10.5.0.1", .notAPort, NextHop.noPort, "0.0.0.0", .drop(.egressNotAPort)),
            ("10.4.0.1", .unreachable, NextHop.noPort, "0.0.0.0", .drop(.routeUnreachable)),
            ("10.3.0.1", .prohibited, NextHop.noPort, "0.0.0.0", .drop(.routeProhibited)),
            ("10.2.0.1", .blackhole, NextHop.noPort, "0.0.0.0", .drop(.routeUnreachable)),
            ("8.8.8.8", .noRoute, NextHop.noPort, "0.0.0.0", .drop(.noRoute)),
            ("224.0.0.5", .blackhole, NextHop.noPort, "0.0.0.0", .drop(.routeUnreachable)),
            ("255.255.255.255", .blackhole, NextHop.noPort, "0.0.0.0", .drop(.routeUnreachable)),
            ("ff02::1", .blackhole, NextHop.noPort, "0.0.0.0", .drop(.routeUnreachable)),
            ("2001:db8::fe", .resolved, 1, "2001:db8::fe", .pass),
            ("2002::1", .noRoute, NextHop.noPort, "0.0.0.0", .drop(.noRoute)),
        ] as [(String, NextHop.State, UInt16, String, Verdict)])
    func states(destination: String, state: NextHop.State, port: UInt16, neighbour: String, verdict: Verdict) throws {
        let snapshot = try builder().build()
        let hop = snapshot.tables.pointee.route(to: try address(destination)).pointee
        #expect(hop.state == state && hop.portIndex == port && hop.verdict == verdict)
        #expect(hop.address == (try address(neighbour)) && hop.isResolved == (state == .resolved))
    }

    @Test("A neighbour's change is seen by the next snapshot only")
    func neighbourChange() throws {
        let builder = try builder()
        let before = builder.build()
        let gateway = try address("192.0.2.253")
        builder.setNeighbours([NeighbourEntry(interfaceIndex: 3, address: gateway, state: .resolved(Self.peer))])
        let after = builder.build()
        let destination = try address("10.8.0.1")
        #expect(before.tables.pointee.route(to: destination).pointee.state == .unresolved)
        #expect(after.tables.pointee.route(to: destination).pointee.state == .resolved)
        var interface = Self.wan
        interface.isUp = false
        builder.setInterfaces([interface])
        let last = builder.build()
        #expect(last.tables.pointee.route(to: destination).pointee.state == .unreachable)
    }

    @Test("The link header ends where the packet begins", arguments: [AddressFamily.ipv4, .ipv6])
    func linkHeader(family: AddressFamily) throws {
        let tables = try builder().build()
        let type: [UInt8] = family == .ipv4 ? [0x08, 0x00] : [0x86, 0xDD]
        let destination: [UInt8] = [0x0A, 0xFF, 0xFF, 0xFF, 0xFF, 0x01]
        let plain = try written("10.1.0.5", tables, family)
        #expect(plain == [0xEE, 0xEE, 0xEE, 0xEE] + destination + [0x02, 0, 0, 0, 0, 0x01] + type)
        let tagged = try written("10.9.0.1", tables, family)
        #expect(tagged == destination + [0x02, 0, 0, 0, 0, 0x02] + [0x81, 0x00, 0x00, 0x64] + type)
    }

    /// The 18 bytes before a packet; the packet itself has to stay as it was.
    private func written(_ destination: String, _ snapshot: Snapshot, _ family: AddressFamily) throws -> [UInt8] {
        let frame = UnsafeMutableRawBufferPointer.allocate(byteCount: 64, alignment: 8)
        defer { frame.deallocate() }
        frame.initializeMemory(as: UInt8.self, repeating: 0xEE)
        let packet = try #require(frame.baseAddress) + 18
        snapshot.tables.pointee.route(to: try address(destination)).pointee.writeLinkHeader(
            before: packet, family: family)
        #expect(frame[18...].allSatisfy { $0 == 0xEE })
        return Array(frame[..<18])
    }

    @Test(
        "Ports have addresses for ICMP errors: global before link-local",
        arguments: [
            (0, AddressFamily.ipv4, "10.1.0.1"), (0, .ipv6, "fe80::1"), (1, .ipv4, "192.0.2.1"),
            (1, .ipv6, "2001:db8::2"), (2, .ipv4, nil),
            (3, .ipv4, nil), (.max, .ipv6, nil),
        ] as [(UInt16, AddressFamily, String?)])
    func portAddresses(port: UInt16, family: AddressFamily, expected: String?) throws {
        let snapshot = try builder().build()
        let found = snapshot.tables.pointee.localAddress(forPort: port, vlan: 0, family: family)
        #expect(found == (try expected.map(address)))
    }

    @Test(
        "A frame of a VLAN is answered from the VLAN's address, else from another one of its port",
        arguments: [
            (10, AddressFamily.ipv4, "10.1.10.1"), (10, .ipv6, "2001:db8:10::1"), (20, .ipv4, "10.1.0.1"),
            (20, .ipv6, "2001:db8:10::1"), (30, .ipv4, "10.1.0.1"), (30, .ipv6, "2001:db8:10::1"),
            (0, .ipv4, "10.1.0.1"),
            (40, .ipv4, "10.1.40.1"),
        ] as [(UInt16, AddressFamily, String)])
    func vlanAddresses(vlan: UInt16, family: AddressFamily, expected: String) throws {
        let builder = SnapshotBuilder(workers: 1)
        func interface(_ index: UInt32, vlan: UInt16?, port: UInt16 = 0, _ texts: [String]) throws -> PortInterface {
            PortInterface(
                interfaceIndex: index, port: port, vlan: vlan, linkAddress: MACAddress(0x02_0000_0000_01),
                addresses: try texts.map(address))
        }
        builder.setInterfaces([
            // Another port's VLANs do not matter.
            try interface(2, vlan: 20, port: 1, ["10.2.20.1", "2001:db8:20::1"]),
            try interface(3, vlan: 20, ["fe80::20"]),
            try interface(4, vlan: 10, ["10.1.10.1", "10.1.10.2", "fe80::10", "2001:db8:10::1"]),
            try interface(5, vlan: nil, ["10.1.0.1", "fe80::1"]),
            try interface(6, vlan: 40, ["169.254.0.40", "10.1.40.1"]),
        ])
        let snapshot = builder.build()
        let found = withExtendedLifetime(snapshot) {
            snapshot.tables.pointee.localAddress(forPort: 0, vlan: vlan, family: family)
        }
        #expect(found == (try address(expected)))
    }

    @Test("Among routes to one prefix the lowest metric wins, then the first")
    func metrics() throws {
        let builder = try builder()
        let destination = try prefix("10.0.0.0/8")
        builder.setRoutes([
            RouteEntry(prefix: destination, kind: .unreachable, metric: 20),
            RouteEntry(prefix: destination, kind: .prohibit, metric: 10),
            RouteEntry(prefix: destination, kind: .local, metric: 10),
        ])
        let snapshot = builder.build()
        #expect(snapshot.tables.pointee.route(to: try address("10.0.0.1")).pointee.state == .prohibited)
    }

    @Test("Neighbour lookups agree with a dictionary", arguments: 0..<10)
    func neighbourModel(seed: Int) {
        var random = SeededGenerator(seed: seed)
        let interfaces: [UInt32: PortInterface] = [2: Self.lan, 3: Self.wan, 4: Self.down]
        func key() -> NeighbourKey {
            let low = UInt64.random(in: 0...200, using: &random)
            // Addresses that differ by family or interface only have to be told apart.
            let address =
                random.chance(50)
                ? IPAddress(ipv4: UInt32(low)) : IPAddress(ipv6High: UInt64.random(in: 0...1, using: &random), low: low)
            return NeighbourKey(interface: UInt32.random(in: 2...5, using: &random), address: address)
        }
        var model: [NeighbourKey: MACAddress] = [:]
        var entries: [NeighbourEntry] = []
        for _ in 0..<[0, 10, 300, 1000][seed % 4] {
            let key = key()
            let link = MACAddress(random.next() >> 16)
            entries.append(NeighbourEntry(interfaceIndex: key.interface, address: key.address, state: .resolved(link)))
            if key.interface != 5 { model[key] = link }
        }
        let tables = NeighbourTables(entries, interfaces: interfaces)
        for _ in 0..<1000 {
            let key = key()
            var steps = CountedSteps()
            let slot = tables.table.find(key.address, interfaceIndex: key.interface, steps: &steps).pointee
            let hop = slot.nextHop == NeighbourTable.Slot.free ? nil : tables.nextHops[Int(slot.nextHop)]
            #expect(hop.map { MACAddress($0.header0.bigEndian >> 16) } == model[key])
            #expect(hop == nil || hop?.interfaceIndex == key.interface && hop?.address == key.address)
            #expect(steps.entries <= 40)
        }
    }

    struct NeighbourKey: Hashable {
        var interface: UInt32
        var address: IPAddress
    }
}

@Suite("Layout of hot records")
struct LayoutTests {
    @Test("Sizes are what cache lines want")
    func sizes() {
        #expect(MemoryLayout<NextHop>.stride == 64)
        #expect(MemoryLayout<PolicyTuple>.stride == 64)
        #expect(MemoryLayout<SPITable.Entry>.stride == 16)
        #expect(MemoryLayout<LongestPrefixTable.Slot>.stride == 24)
        #expect(MemoryLayout<NeighbourTable.Slot>.stride == 32)
        #expect(UInt(bitPattern: HotArray<NextHop>(repeating: NextHop(.local), count: 3).base) % 64 == 0)
        #expect(HotArray<NextHop>([]).count == 0)
    }
}
