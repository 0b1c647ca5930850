import Testing

@testable import ControlPlane

/// The wire format, against the example bytes of the protocol's documentation and against hostile input.
@Suite struct VICICodecTests {
    /// The structure that strongSwan's vici README encodes as an example.
    static let documented: VICIMessage = {
        var inner = VICIMessage()
        inner.append("sub-section", section: ["key2": "value2"])
        inner.append("list1", list: ["item1", "item2"])
        var message: VICIMessage = ["key1": "value1"]
        message.append("section1", section: inner)
        return message
    }()

    static func text(_ value: String) -> [UInt8] { Array(value.utf8) }

    static let documentedBytes: [UInt8] =
        [3, 4] + text("key1") + [0, 6] + text("value1")  // key1 = value1
        + [1, 8] + text("section1")  // section1 {
        + [1, 11] + text("sub-section")  // sub-section {
        + [3, 4] + text("key2") + [0, 6] + text("value2")  // key2 = value2
        + [2]  // }
        + [4, 5] + text("list1")  // list1 = [
        + [5, 0, 5] + text("item1") + [5, 0, 5] + text("item2")
        + [6]  // ]
        + [2]  // }

    @Test func encodesTheDocumentedExample() throws {
        let bytes = try VICIPacket.commandResponse(Self.documented).encoded()
        #expect(bytes == [0, 0, 0, UInt8(Self.documentedBytes.count + 1), 1] + Self.documentedBytes)
    }

    @Test func decodesTheDocumentedExample() throws {
        #expect(try VICIPacket(decoding: [1] + Self.documentedBytes) == .commandResponse(Self.documented))
    }

    static let packets: [VICIPacket] = [
        .commandRequest("version", [:]), .commandRequest("initiate", documented), .commandResponse([:]),
        .commandUnknown, .eventRegister("list-sa"), .eventUnregister("list-sa"), .eventConfirm, .eventUnknown,
        .event("log", documented),
        .commandResponse(["empty": "", "largest": String(repeating: "x", count: VICILimits.maximumValueBytes)]),
        .commandRequest(String(repeating: "n", count: VICILimits.maximumNameBytes), [:]),
    ]

    @Test(arguments: packets) func survivesARoundTrip(_ packet: VICIPacket) throws {
        let bytes = try packet.encoded()
        let length = bytes.prefix(4).reduce(0) { $0 << 8 | Int($1) }
        #expect(length == bytes.count - 4)
        #expect(try VICIPacket(decoding: bytes.dropFirst(4)) == packet)
    }

    @Test func numbersPacketTypesAsDocumented() throws {
        #expect(try Self.packets.prefix(9).map { try $0.encoded()[4] } == [0, 0, 1, 2, 3, 4, 5, 6, 7])
    }

    static let malformed: [(bytes: [UInt8], error: VICIError)] = [
        ([], .truncated(offset: 0)),
        ([8], .unknownPacketType(8)),
        ([2, 0], .trailingBytes(offset: 1)),
        ([0], .truncated(offset: 1)),
        ([0, 5, 0x61], .truncated(offset: 1)),
        ([3, 1, 0xFF], .nameIsNotUTF8(offset: 1)),
        ([1, 0], .unknownElement(0, offset: 1)),
        ([1, 7], .unknownElement(7, offset: 1)),
        ([1, 2], .elementOutOfPlace(offset: 1)),
        ([1, 5, 0, 0], .elementOutOfPlace(offset: 1)),
        ([1, 6], .elementOutOfPlace(offset: 1)),
        ([1, 1, 1, 0x61], .unclosed),
        ([1, 4, 1, 0x61], .unclosed),
        ([1, 4, 1, 0x61, 4, 1, 0x62], .elementOutOfPlace(offset: 4)),
        ([1, 4, 1, 0x61, 3, 1, 0x62, 0, 0], .elementOutOfPlace(offset: 4)),
        ([1, 4, 1, 0x61, 2], .elementOutOfPlace(offset: 4)),
        ([1, 3, 1, 0x61, 0], .truncated(offset: 5)),
        ([1, 3, 1, 0x61, 0, 2, 0x62], .truncated(offset: 4)),
        ([1, 3, 1, 0x61, 0xFF, 0xFF], .truncated(offset: 4)),
    ]

    @Test(arguments: malformed) func namesWhatIsWrong(_ input: (bytes: [UInt8], error: VICIError)) {
        #expect(throws: input.error) { try VICIPacket(decoding: input.bytes) }
    }

    @Test func boundsTheDepth() throws {
        func nested(_ depth: Int) -> [UInt8] {
            [1] + Array(repeating: [1, 1, 0x73], count: depth).flatMap { $0 } + Array(repeating: 2, count: depth)
        }
        _ = try VICIPacket(decoding: nested(VICILimits.maximumDepth))
        let tooDeep = VICIError.tooDeep(offset: 1 + 3 * VICILimits.maximumDepth)
        #expect(throws: tooDeep) { try VICIPacket(decoding: nested(VICILimits.maximumDepth + 1)) }
    }

    @Test func refusesToEncodeWhatDoesNotFit() {
        #expect(throws: VICIError.valueTooLong(bytes: 65_536)) {
            try VICIPacket.commandResponse(["k": String(repeating: "x", count: 65_536)]).encoded()
        }
        #expect(throws: VICIError.nameTooLong(bytes: 256)) {
            try VICIPacket.eventRegister(String(repeating: "n", count: 256)).encoded()
        }
        var large = VICIMessage()
        for _ in 0..<9 { large.append("k", String(repeating: "x", count: 65_000)) }
        #expect(throws: VICIError.packetTooLong(bytes: 1 + 9 * (1 + 2 + 2 + 65_000))) {
            try VICIPacket.commandResponse(large).encoded()
        }
    }

    /// Cut, changed and grown at random: an error or a message that encodes again, never a trap.
    @Test func staysUprightUnderRandomDamage() throws {
        var generator = SplitMix64(seed: 0x51_1CE)
        let seed = try VICIPacket.event("list-sa", Self.documented).encoded().dropFirst(4)
        var accepted = 0
        for _ in 0..<20_000 {
            var bytes = Array(seed)
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let at = Int.random(in: 0..<bytes.count, using: &generator)
                switch Int.random(in: 0..<3, using: &generator) {
                case 0: bytes[at] = UInt8.random(in: 0...255, using: &generator)
                case 1: bytes.removeSubrange(at...)
                default: bytes.insert(UInt8.random(in: 0...7, using: &generator), at: at)
                }
                if bytes.isEmpty { bytes = [1] }
            }
            guard let packet = try? VICIPacket(decoding: bytes) else { continue }
            accepted += 1
            #expect(try Array(packet.encoded().dropFirst(4)) == bytes)
        }
        #expect(accepted > 100)
    }
}

/// Repeatable randomness.
struct SplitMix64: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
