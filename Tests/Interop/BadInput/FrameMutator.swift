/// A reproducible stream of hostile frames: noise, noise behind correct headers, and damaged copies of real packets.
struct FrameMutator {
    /// Frames that the gateway takes gladly, captured from the wire.
    private let templates: [[UInt8]]
    private var generator: SplitMix64
    private let noise: [UInt8]

    init(templates: [[UInt8]], seed: UInt64) {
        self.templates = templates
        generator = SplitMix64(state: seed)
        var noiseGenerator = SplitMix64(state: ~seed)
        noise = (0..<(1 << 16)).map { _ in UInt8(truncatingIfNeeded: noiseGenerator.next()) }
    }

    /// Writes the next frame; returns its length.
    mutating func next(into frame: UnsafeMutableBufferPointer<UInt8>) -> Int {
        let dice = generator.next()
        let template = templates[Int(dice >> 32) % templates.count]
        switch dice % 8 {
        case 0: return pureNoise(into: frame, length: 14 + Int(dice >> 8 & 0x5ff) % 1500)
        case 1: return noiseBehind(template, keep: 14, into: frame)
        case 2: return noiseBehind(template, keep: 34, into: frame)
        case 3: return noiseBehind(template, keep: 42, into: frame)
        case 4: return cut(template, into: frame)
        default: return damaged(template, into: frame)
        }
    }

    private mutating func pureNoise(into frame: UnsafeMutableBufferPointer<UInt8>, length: Int) -> Int {
        let start = Int(generator.next() % UInt64(noise.count - length))
        _ = frame.update(fromContentsOf: noise[start..<(start + length)])
        return length
    }

    /// The first `keep` bytes of a real frame, then noise of any length.
    private mutating func noiseBehind(
        _ template: [UInt8], keep: Int, into frame: UnsafeMutableBufferPointer<UInt8>
    ) -> Int {
        let length = max(keep, pureNoise(into: frame, length: keep + Int(generator.next() % 1400)))
        _ = frame.update(fromContentsOf: template[..<min(keep, template.count)])
        return length
    }

    /// A real frame that ends too early, or is longer than its headers say.
    private mutating func cut(_ template: [UInt8], into frame: UnsafeMutableBufferPointer<UInt8>) -> Int {
        let length = 14 + Int(generator.next() % 1500)
        _ = pureNoise(into: frame, length: length)
        _ = frame.update(fromContentsOf: template[..<min(length, template.count)])
        return length
    }

    /// A real frame with one to four bytes changed, most often in the headers.
    private mutating func damaged(_ template: [UInt8], into frame: UnsafeMutableBufferPointer<UInt8>) -> Int {
        _ = frame.update(fromContentsOf: template)
        let choice = generator.next()
        let range = choice & 8 == 0 ? template.count : min(template.count, 62)
        for _ in 0...(choice & 3) {
            let change = generator.next()
            frame[Int(change >> 8) % range] ^= UInt8(truncatingIfNeeded: change) | 1
        }
        return template.count
    }
}

/// A small generator of good quality (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var word = state
        word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
        word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
        return word ^ (word >> 31)
    }
}
