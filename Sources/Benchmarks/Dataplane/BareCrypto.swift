import CLinux
import Cryptography
import Packets

/// The engine's cipher by itself, on packets like those of the pipeline: what is subtracted to see the cost of the rest.
final class BareCrypto {
    private let seal: [ESPCipher]
    private let open: [ESPCipher]
    private let transform: ESPTransform
    private let frames: UnsafeMutableRawPointer
    private let operations: UnsafeMutablePointer<ESPOperation>
    private let capacity: Int
    private var turn = 0
    private var sequence: UInt64 = 0
    private static let frameSize = 2048

    /// One pair of ciphers for each active SA, as the pipeline has them.
    init(_ configuration: BenchmarkConfiguration, engine: any ESPEngine, key: SecretBytes) throws {
        transform = configuration.transform
        let esn = configuration.extendedSequenceNumbers
        seal = try (0..<configuration.activeAssociations).map { _ in
            try engine.makeCipher(
                configuration.transform, keyMaterial: key, direction: .seal, extendedSequenceNumbers: esn)
        }
        open = try (0..<configuration.activeAssociations).map { _ in
            try engine.makeCipher(
                configuration.transform, keyMaterial: key, direction: .open, extendedSequenceNumbers: esn)
        }
        capacity = configuration.batchSize
        frames = .allocate(byteCount: capacity * Self.frameSize, alignment: 4096)
        operations = .allocate(capacity: capacity)
    }

    deinit {
        frames.deallocate()
        operations.deallocate()
    }

    /// Seals and opens one batch; returns cycles of each, or nil when a packet did not verify.
    func run(_ traffic: BenchmarkTraffic) -> (seal: UInt64, open: UInt64)? {
        let first = turn
        for index in 0..<capacity {
            // Where the ESP header of the pipeline's packets lies: behind headroom, link and outer IP header.
            let inner = frames + index * Self.frameSize + 320
            let length = traffic.writePacket(at: inner, number: index, association: turn)
            let header = inner - 8 - transform.ivLength
            sequence &+= 1
            header.storeBytes(of: UInt64(sequence).bigEndian, as: UInt64.self)
            let alignment = transform.alignment
            let payload = (length + 2 + alignment - 1) / alignment * alignment
            (operations + index).initialize(
                to: ESPOperation(
                    context: seal[turn].context, header: header, iv: sequence, payloadLength: UInt32(payload)))
            turn = turn + 1 == seal.count ? 0 : turn + 1
        }
        let sealStart = sluice_cycles()
        ESPBatch.run(operations, count: capacity)
        let sealCycles = sluice_cycles() - sealStart
        turn = first
        for index in 0..<capacity {
            operations[index].context = open[turn].context
            turn = turn + 1 == seal.count ? 0 : turn + 1
        }
        let openStart = sluice_cycles()
        ESPBatch.run(operations, count: capacity)
        let openCycles = sluice_cycles() - openStart
        for index in 0..<capacity where operations[index].status != .ok { return nil }
        return (sealCycles, openCycles)
    }
}
