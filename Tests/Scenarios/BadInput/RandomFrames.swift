import Packets
import TestSupport

/// Makes frames without end from a seed: noise, noise behind good headers, good packets with a few bytes changed, and
/// authentic ESP around nonsense. Written in place, so that a debug build makes a million in seconds.
final class RandomFrames {
    private var numbers: SeededNumbers
    private let templates: [[UInt8]]
    private let sealer: RawSealer
    private let site: SitePlan
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 2048, alignment: 16)

    /// `templates` are frames to be damaged.
    init(seed: UInt64, templates: [[UInt8]], sealer: RawSealer, site: SitePlan) {
        numbers = SeededNumbers(seed: seed)
        self.templates = templates
        self.sealer = sealer
        self.site = site
    }

    deinit { buffer.deallocate() }

    /// The next frame, valid until the next call, and where it arrives.
    func next() -> (frame: UnsafeRawBufferPointer, port: MemorySite.Port) {
        let choice = numbers.next()
        let port: MemorySite.Port = choice & 0x100 == 0 ? .lan : .wan
        switch choice & 7 {
        case 0: return (noise(length: length(choice), from: 0), port)
        case 1: return (behindHeader(length(choice)), port)
        case 2: return (authentic(choice), .wan)
        default: return (damaged(choice), port)
        }
    }

    /// Short ones mostly; up to more than a frame holds.
    private func length(_ choice: UInt64) -> Int {
        let large = choice >> 9 & 0xF == 0
        return Int(truncatingIfNeeded: choice >> 16) & (large ? 0x7FF : 0x7F)
    }

    private func noise(length: Int, from start: Int) -> UnsafeRawBufferPointer {
        var offset = start
        while offset + 8 <= length {
            buffer.storeBytes(of: numbers.next(), toByteOffset: offset, as: UInt64.self)
            offset += 8
        }
        let rest = numbers.next()
        while offset < length {
            buffer[offset] = UInt8(truncatingIfNeeded: rest >> (8 * UInt64(offset & 7)))
            offset += 1
        }
        return UnsafeRawBufferPointer(rebasing: buffer[..<length])
    }

    /// A good Ethernet and IP header, then noise that begins with the transport header.
    private func behindHeader(_ length: Int) -> UnsafeRawBufferPointer {
        let template = templates[Int(truncatingIfNeeded: numbers.next() % UInt64(templates.count))]
        let header = min(template.count, 34)
        let total = max(header, length)
        template.withUnsafeBytes { buffer.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[..<header])) }
        let frame = noise(length: total, from: header)
        fit(total)
        return frame
    }

    /// A good frame, cut or not, with up to eight bytes changed; the IPv4 checksum put right in three of four.
    private func damaged(_ choice: UInt64) -> UnsafeRawBufferPointer {
        let template = templates[Int(truncatingIfNeeded: (choice >> 16) % UInt64(templates.count))]
        template.withUnsafeBytes { buffer.copyMemory(from: $0) }
        var total = template.count
        if choice & 0x18 == 0, total > 0 { total = Int(truncatingIfNeeded: (choice >> 32) % UInt64(total)) }
        if total == 0 { return UnsafeRawBufferPointer(rebasing: buffer[..<0]) }
        for _ in 0..<(choice >> 5 & 7) {
            let change = numbers.next()
            // Headers more often than payload.
            let range = change & 1 == 0 ? min(total, 64) : total
            buffer[Int(truncatingIfNeeded: (change >> 8) % UInt64(range))] = UInt8(truncatingIfNeeded: change >> 48)
        }
        if choice & 0x600 != 0 { fit(total) }
        return UnsafeRawBufferPointer(rebasing: buffer[..<total])
    }

    /// Makes length and checksum of an IPv4 packet fit a frame of `total` bytes.
    private func fit(_ total: Int) {
        guard total >= 34, buffer[12] == 0x08, buffer[14] == 0x45, let base = buffer.baseAddress else { return }
        buffer.storeBytes(of: UInt16(total - 14).bigEndian, toByteOffset: 16, as: UInt16.self)
        buffer.storeBytes(of: 0, toByteOffset: 24, as: UInt16.self)
        let checksum = Checksum.internet(base + 14, count: 20)
        buffer.storeBytes(of: checksum.bigEndian, toByteOffset: 24, as: UInt16.self)
    }

    /// Whatever the above makes, in an envelope that verifies.
    private func authentic(_ choice: UInt64) -> UnsafeRawBufferPointer {
        let inner: UnsafeRawBufferPointer
        if choice & 0x18 == 0 {
            inner = noise(length: length(choice), from: 0)
        } else {
            let frame = damaged(choice)
            inner = UnsafeRawBufferPointer(rebasing: frame[min(14, frame.count)...])
        }
        let kinds = [IPProtocol.ipv4, IPProtocol.ipv6, IPProtocol.ipv4, IPProtocol.ipv6, IPProtocol.none, 0, 17, 255]
        return sealer.seal(
            inner, nextHeader: kinds[Int(truncatingIfNeeded: choice >> 60) & 7], to: site.wanPort,
            from: site.routerStation)
    }
}
