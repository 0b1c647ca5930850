import Packets

/// The inner packets of a benchmark: UDP over IPv4, one flow for each active SA.
struct BenchmarkTraffic {
    let pattern: [Int]
    private let template: [UInt8]

    /// 192.168.1.2 in the network of the sending side.
    static let source = IPAddress(ipv4: 0xC0A8_0102)

    /// The network behind the SA with this number: 20.0.0.0/24 and the ones behind it.
    static func network(_ association: Int) -> IPPrefix {
        IPPrefix(address: IPAddress(ipv4: 0x1400_0000 &+ UInt32(association) << 8), length: 24)
    }

    /// The host that the packets of an SA go to.
    static func destination(_ association: Int) -> IPAddress {
        IPAddress(ipv4: 0x1400_0001 &+ UInt32(association) << 8)
    }

    init(_ load: BenchmarkConfiguration.Load) {
        pattern = load.pattern
        var bytes = [UInt8](repeating: 0, count: 1500)
        for index in bytes.indices { bytes[index] = UInt8(truncatingIfNeeded: index &* 31) }
        bytes.withUnsafeMutableBytes { buffer in
            buffer[0] = 0x45
            buffer[1] = 0
            buffer.storeBytes(of: UInt16(0x4000).bigEndian, toByteOffset: 6, as: UInt16.self)
            buffer[8] = 64
            buffer[9] = IPProtocol.udp
            if let base = buffer.baseAddress { Self.source.store(to: base + 12) }
            buffer.storeBytes(of: UInt16(40_000).bigEndian, toByteOffset: 20, as: UInt16.self)
            buffer.storeBytes(of: UInt16(5_001).bigEndian, toByteOffset: 22, as: UInt16.self)
        }
        template = bytes
    }

    /// Writes an IP packet and returns its length. `number` is its place in the batch.
    func writePacket(at start: UnsafeMutableRawPointer, number: Int, association: Int) -> Int {
        let size = pattern[number % pattern.count]
        template.withUnsafeBytes { bytes in
            if let source = bytes.baseAddress { start.copyMemory(from: source, byteCount: size) }
        }
        start.storeBytes(of: UInt16(size).bigEndian, toByteOffset: 2, as: UInt16.self)
        Self.destination(association).store(to: start + 16)
        start.storeBytes(of: 0, toByteOffset: 10, as: UInt16.self)
        let checksum = Checksum.internet(start, count: 20)
        start.storeBytes(of: checksum.bigEndian, toByteOffset: 10, as: UInt16.self)
        return size
    }
}
