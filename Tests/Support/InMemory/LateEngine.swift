import Cryptography

/// An engine that is done with packets only when it is asked so often again, or when it is let go on: as hardware, or another
/// core, would be. The ciphers are those of OpenSSL. It looks whether anybody changes a packet that it has.
///
/// For tests on one thread.
public final class LateEngine: ESPEngine, @unchecked Sendable {
    /// Rounds of questions until a packet is done; 0: at once.
    public var delay: Int
    /// While it holds, nothing that it has is done.
    public var isHolding = false
    /// The number of packets in each call that gave it some, and how many of them it has.
    public private(set) var runs: [Int] = []
    public private(set) var kept = 0
    /// Packets that somebody changed while it had them.
    public private(set) var disturbed = 0

    /// Packets that it has, by the address of their operation: how often it will be asked, and the bytes.
    private var pending: [UnsafeMutableRawPointer: (left: Int, bytes: [UInt8])] = [:]

    public init(delay: Int) { self.delay = delay }

    public var name: String { "late" }

    public func supports(_ transform: ESPTransform) -> Bool { true }

    /// What a batch finds behind the context.
    private struct Context {
        let header: ESPContextHeader
        let inner: UnsafeMutableRawPointer
        let engine: Unmanaged<LateEngine>
        let isSealing: Bool
        let overhead: Int
    }

    public func makeCipher(
        _ transform: ESPTransform, keyMaterial: SecretBytes, direction: CipherDirection, extendedSequenceNumbers: Bool
    ) throws(CryptographyError) -> ESPCipher {
        let inner = try OpenSSLEngine().makeCipher(
            transform, keyMaterial: keyMaterial, direction: direction, extendedSequenceNumbers: extendedSequenceNumbers)
        let memory = UnsafeMutablePointer<Context>.allocate(capacity: 1)
        memory.initialize(
            to: Context(
                header: ESPContextHeader(
                    process: { LateEngine.process($0, $1, $2) }, collect: { LateEngine.collect($0, $1, $2) }),
                inner: inner.context, engine: .passUnretained(self), isSealing: direction == .seal,
                overhead: 8 + transform.ivLength))
        let address = UInt(bitPattern: memory)
        // The cipher keeps both alive, as long as packets may be with it.
        return ESPCipher(
            context: UnsafeMutableRawPointer(memory), transform: transform, direction: direction,
            release: { [self] in
                withExtendedLifetime((inner, self)) { UnsafeMutableRawPointer(bitPattern: address)?.deallocate() }
            })
    }

    private static func process(
        _ context: UnsafeMutableRawPointer, _ operations: UnsafeMutableRawPointer, _ count: Int
    ) -> Int {
        let context = context.assumingMemoryBound(to: Context.self).pointee
        let operations = operations.assumingMemoryBound(to: ESPOperation.self)
        let engine = context.engine.takeUnretainedValue()
        engine.runs.append(count)
        for operation in (0..<count).map({ operations + $0 }) {
            if engine.delay == 0, !engine.isHolding {
                finish(operation, context)
            } else {
                operation.pointee.status = .running
                engine.kept += 1
                engine.pending[UnsafeMutableRawPointer(operation)] = (engine.delay, bytes(operation, context))
            }
        }
        return (0..<count).count { operations[$0].status == .running }
    }

    private static func collect(
        _ context: UnsafeMutableRawPointer, _ operations: UnsafeMutableRawPointer, _ count: Int
    ) -> Int {
        let context = context.assumingMemoryBound(to: Context.self).pointee
        let operations = operations.assumingMemoryBound(to: ESPOperation.self)
        let engine = context.engine.takeUnretainedValue()
        for operation in (0..<count).map({ operations + $0 }) where operation.pointee.status == .running {
            guard !engine.isHolding, var entry = engine.pending[UnsafeMutableRawPointer(operation)] else { continue }
            entry.left -= 1
            engine.pending[UnsafeMutableRawPointer(operation)] = entry
            if entry.left > 0 { continue }
            engine.pending[UnsafeMutableRawPointer(operation)] = nil
            engine.kept -= 1
            if bytes(operation, context) != entry.bytes { engine.disturbed += 1 }
            finish(operation, context)
        }
        return (0..<count).count { operations[$0].status == .running }
    }

    /// Header, IV and payload.
    private static func bytes(_ operation: UnsafeMutablePointer<ESPOperation>, _ context: Context) -> [UInt8] {
        let length = context.overhead + Int(operation.pointee.payloadLength)
        return [UInt8](UnsafeRawBufferPointer(start: operation.pointee.header, count: length))
    }

    private static func finish(_ operation: UnsafeMutablePointer<ESPOperation>, _ context: Context) {
        var copy = operation.pointee
        copy.context = context.inner
        ESPBatch.run(&copy, count: 1)
        operation.pointee.status = copy.status
    }
}
