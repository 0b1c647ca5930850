import Cryptography
import Glibc

/// Both directions of one SA under a random or given key.
struct CipherPair {
    let transform: ESPTransform
    let sealer: ESPCipher
    let opener: ESPCipher

    init(
        _ transform: ESPTransform, key: SecretBytes? = nil, extended: Bool = false,
        engine: any ESPEngine = OpenSSLEngine()
    ) throws {
        let key = try key ?? SecretBytes.random(count: transform.keyMaterialLength)
        self.transform = transform
        sealer = try engine.makeCipher(
            transform, keyMaterial: key, direction: .seal, extendedSequenceNumbers: extended)
        opener = try engine.makeCipher(
            transform, keyMaterial: key, direction: .open, extendedSequenceNumbers: extended)
    }
}

/// An ESP packet that ends where readable memory ends, so that one byte too far is a crash; the bytes in front of it are
/// watched.
final class TestPacket {
    private static let pageSize = 4096
    private static let edge: UInt8 = 0xe7
    private static let edgeLength = 64

    private let pages: UnsafeMutableRawPointer
    private let end: UnsafeMutableRawPointer
    private(set) var count = 0
    private var transform = ESPTransform.aes128GCM16

    init() {
        let mapped = mmap(nil, 2 * Self.pageSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        guard let mapped, mapped != MAP_FAILED else { fatalError("mmap") }
        pages = mapped
        end = mapped + Self.pageSize
        guard mprotect(end, Self.pageSize, PROT_NONE) == 0 else { fatalError("mprotect") }
    }

    deinit { munmap(pages, 2 * Self.pageSize) }

    private var start: UnsafeMutableRawPointer { end - count }
    private var payloadStart: Int { 8 + transform.ivLength }

    /// Lays out a packet to be sealed.
    func write(spi: UInt32, sequence: UInt32, payload: [UInt8], for transform: ESPTransform) {
        self.transform = transform
        let header = [spi, sequence].flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (24 - 8 * $0)) }
        }
        let empty = [UInt8](repeating: 0, count: transform.ivLength)
        bytes = header + empty + payload + [UInt8](repeating: 0, count: transform.icvLength)
    }

    /// Lays out a packet to be opened.
    func write(sealed: [UInt8], for transform: ESPTransform) {
        self.transform = transform
        bytes = sealed
    }

    /// The packet from its ESP header to its ICV.
    var bytes: [UInt8] {
        get { Array(UnsafeRawBufferPointer(start: start, count: count)) }
        set {
            count = newValue.count
            memset(start - Self.edgeLength, Int32(Self.edge), Self.edgeLength)
            newValue.withUnsafeBytes { bytes in
                if let base = bytes.baseAddress { start.copyMemory(from: base, byteCount: bytes.count) }
            }
        }
    }

    /// What lies between IV and ICV.
    var payload: [UInt8] { Array(bytes[payloadStart..<count - transform.icvLength]) }

    /// Whether the bytes in front of the packet are as they were.
    var edgesAreIntact: Bool {
        UnsafeRawBufferPointer(start: start - Self.edgeLength, count: Self.edgeLength).allSatisfy { $0 == Self.edge }
    }

    func operation(_ cipher: ESPCipher, iv: UInt64 = 0, sequenceHigh: UInt32 = 0) -> ESPOperation {
        let length = count - payloadStart - transform.icvLength
        return ESPOperation(
            context: cipher.context, header: start, iv: iv, payloadLength: UInt32(length), sequenceHigh: sequenceHigh)
    }

    func run(_ cipher: ESPCipher, iv: UInt64 = 0, sequenceHigh: UInt32 = 0) -> ESPOperation.Status {
        var operation = operation(cipher, iv: iv, sequenceHigh: sequenceHigh)
        _ = withUnsafeMutablePointer(to: &operation) { ESPBatch.run($0, count: 1) }
        return operation.status
    }
}

func runBatch(_ operations: inout [ESPOperation], count: Int? = nil) {
    operations.withUnsafeMutableBufferPointer { buffer in
        if let base = buffer.baseAddress { ESPBatch.run(base, count: count ?? buffer.count) }
    }
}
