import Cryptography

/// The measurements of `sluice bench`.
public struct BenchmarkConfiguration: Sendable {
    /// The inner packets of one measurement.
    public enum Load: Hashable, Sendable, CustomStringConvertible {
        /// All of one size, in bytes of the inner IP packet: 48 ... 1,500.
        case fixed(Int)
        /// 7 of 64, 4 of 570 and 1 of 1,420 bytes, mixed.
        case imix

        public var description: String {
            switch self {
            case .fixed(let size): "\(size)"
            case .imix: "imix"
            }
        }

        /// The sizes in their order; repeated for longer batches.
        var pattern: [Int] {
            switch self {
            case .fixed(let size): [size]
            case .imix: [64, 570, 64, 64, 570, 64, 1420, 64, 570, 64, 64, 570]
            }
        }
    }

    public var transform: ESPTransform
    public var loads: [Load] = [.fixed(64), .fixed(256), .fixed(512), .fixed(1024), .fixed(1420), .imix]
    /// More need more memory than a test of speed should take, and networks of their own for more tunnels.
    public static let maximumAssociations = 200_000
    /// SAs that exist in each direction.
    public var associations = 1
    /// SAs that the packets are spread over, in turn; at most `associations`.
    public var activeAssociations = 1
    public var extendedSequenceNumbers = false
    /// Packets per batch.
    public var batchSize = 64
    /// Batches per load.
    public var batches = 4096
    /// The core to measure on; nil leaves it to the scheduler.
    public var core: Int?

    public init(transform: ESPTransform) { self.transform = transform }
}

/// Why a benchmark could not run, or measured nonsense.
public enum BenchmarkError: Error, CustomStringConvertible {
    case invalid(String)
    case setup(String)
    case lost(direction: String, expected: Int, got: Int, drops: String)

    public var description: String {
        switch self {
        case .invalid(let why): why
        case .setup(let why): "the benchmark's gateway could not be set up: \(why)"
        case .lost(let direction, let expected, let got, let drops):
            "\(direction): \(got) of \(expected) packets came out (drops: \(drops)); the figures would be wrong"
        }
    }
}
