import Cryptography
import Foundation
import Testing

/// The engine against Python's `cryptography` over random packets: what we seal it opens, what it seals we open, and
/// seal to the same bytes, and refuse once a bit is flipped.
@Suite struct DifferentialTests {
    private static let count = 1000

    @Test(arguments: ESPTransform.all)
    func agreesWithPython(transform: ESPTransform) throws {
        var random = SeededGenerator(seed: Peer.seed)
        let ours = try (0..<Self.count).map { _ in try OurPacket(transform, random: &random) }
        let answers = try Peer.run(transform, packets: ours.map(\.line), count: Self.count)
        try #require(answers.count == 2 * Self.count)
        for (packet, answer) in zip(ours, answers) {
            #expect(answer == "=" + packet.payload.base64EncodedString(), "sealed by us, seed \(Peer.seed)")
        }
        for line in answers.dropFirst(Self.count) {
            try TheirPacket(line).check(transform, random: &random)
        }
    }
}

/// A random packet that the engine sealed.
private struct OurPacket {
    let payload: Data
    let line: String

    init(_ transform: ESPTransform, random: inout SeededGenerator) throws {
        let extended = Bool.random(using: &random)
        let high = UInt32.random(in: 0...UInt32.max, using: &random)
        let key = random.bytes(transform.keyMaterialLength)
        let longest = [64, 300, 2000].randomElement(using: &random) ?? 64
        let length = Int.random(in: 0...longest, using: &random)
        let payload = random.bytes(length - (transform.alignment == 16 ? length % 16 : 0))
        let pair = try CipherPair(transform, key: SecretBytes(copying: key), extended: extended)
        let packet = TestPacket()
        let (spi, sequence) = (UInt32(truncatingIfNeeded: random.next()), UInt32(truncatingIfNeeded: random.next()))
        packet.write(spi: spi, sequence: sequence, payload: payload, for: transform)
        #expect(packet.run(pair.sealer, iv: random.next(), sequenceHigh: high) == .ok)
        #expect(packet.edgesAreIntact)
        self.payload = Data(payload)
        let fields = [Data(key), Data(packet.bytes)].map { $0.base64EncodedString() }
        line = "\(extended ? 1 : 0) \(high) \(fields[0]) \(fields[1])"
    }
}

/// A random packet that Python sealed.
private struct TheirPacket {
    let extended: Bool
    let high: UInt32
    let (key, header, iv, payload, packet): ([UInt8], [UInt8], [UInt8], [UInt8], [UInt8])

    init(_ line: String) throws {
        let words = line.split(separator: " ")
        try #require(words.count == 3, "\(line)")
        extended = words[0] == "1"
        high = try #require(UInt32(words[1]))
        let fields = try words[2].split(separator: ",", omittingEmptySubsequences: false)
            .map { [UInt8](try #require(Data(base64Encoded: String($0)))) }
        try #require(fields.count == 5)
        (key, header, iv, payload, packet) = (fields[0], fields[1], fields[2], fields[3], fields[4])
    }

    func check(_ transform: ESPTransform, random: inout SeededGenerator) throws {
        let pair = try CipherPair(transform, key: SecretBytes(copying: key), extended: extended)
        let test = TestPacket()
        test.write(sealed: packet, for: transform)
        #expect(test.run(pair.opener, sequenceHigh: high) == .ok)
        #expect(test.payload == payload)
        if transform.isCounterMode || transform.ivLength == 0 {
            // Opened in place, so it is laid out to be sealed again.
            let counter = iv.reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
            #expect(test.run(pair.sealer, iv: counter, sequenceHigh: high) == .ok)
            #expect(test.bytes == packet)
        }
        var tampered = packet
        tampered[Int.random(in: packet.indices, using: &random)] ^= 1 << UInt8.random(in: 0...7, using: &random)
        test.write(sealed: tampered, for: transform)
        #expect(test.run(pair.opener, sequenceHigh: high) == .integrityFailure)
        #expect(test.payload.allSatisfy { $0 == 0 })
        #expect(test.edgesAreIntact)
    }
}

/// The Python process.
private enum Peer {
    /// SLUICE_SEED repeats a run, 1 by default.
    static let seed = ProcessInfo.processInfo.environment["SLUICE_SEED"].flatMap { UInt64($0) } ?? 1

    /// Hands `packets` over and returns the answers, then `count` packets that Python sealed.
    static func run(_ transform: ESPTransform, packets: [String], count: Int) throws -> [String] {
        let directory = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: directory) }
        let (input, output) = (directory.appendingPathComponent("in"), directory.appendingPathComponent("out"))
        try Data((packets.joined(separator: "\n") + "\n").utf8).write(to: input)
        try Data().write(to: output)
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        let script = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent(
            "differential.py")
        let python = ProcessInfo.processInfo.environment["SLUICE_PYTHON"] ?? "python3"
        process.arguments = [python, script.path, transform.name, "\(seed)", "\(count)"]
        process.standardInput = try FileHandle(forReadingFrom: input)
        process.standardOutput = try FileHandle(forWritingTo: output)
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "\(python) needs the package 'cryptography'")
        return String(decoding: try Data(contentsOf: output), as: UTF8.self).split(separator: "\n").map(String.init)
    }
}

/// SplitMix64: random packets that a seed repeats.
private struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var mixed = (state ^ (state >> 30)) &* 0xbf58_476d_1ce4_e5b9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94d0_49bb_1331_11eb
        return mixed ^ (mixed >> 31)
    }

    mutating func bytes(_ count: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 8)
        while bytes.count < count { withUnsafeBytes(of: next()) { bytes.append(contentsOf: $0) } }
        return Array(bytes.prefix(count))
    }
}
