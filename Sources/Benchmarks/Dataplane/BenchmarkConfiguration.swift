import Cryptography

/// The measurements of `sluice bench`.
package struct BenchmarkConfiguration: Sendable {
    /// The inner packets of one measurement.
    package enum Load: Hashable, Sendable, CustomStringConvertible {
        /// All of one size, in bytes of the inner IP packet: 48 ... 1,500.
        case fixed(Int)
        /// 7 of 64, 4 of 570 and 1 of 1,420 bytes, mixed.
        case imix

        package var description: String {
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

    package var transform: ESPTransform
    package var loads: [Load] = [.fixed(64), .fixed(256), .fixed(512), .fixed(1024), .fixed(1420), .imix]
    /// More need more memory than a test of speed should take, and networks of their own for more tunnels.
    package static let maximumAssociations = 200_000
    /// SAs that exist in each direction.
    package var associations = 1
    /// SAs that the packets are spread over, in turn; at most `associations`.
    package var activeAssociations = 1
    package var extendedSequenceNumbers = false
    /// Packets per batch.
    package var batchSize = 64
    /// Batches per load.
    package var batches = 4096
    /// The core to measure on; nil leaves it to the scheduler.
    package var core: Int?

    package init(transform: ESPTransform) { self.transform = transform }
}

/// Why a benchmark could not run, or measured nonsense.
package enum BenchmarkError: Error, CustomStringConvertible {
    case invalid(String)
    case setup(String)
    case lost(direction: String, expected: Int, got: Int, drops: String)

    package var description: String {
        switch self {
        case .invalid(let why): why
        case .setup(let why): "the benchmark's gateway could not be set up: \(why)"
        case .lost(let direction, let expected, let got, let drops):
            "\(direction): \(got) of \(expected) packets came out (drops: \(drops)); the figures would be wrong"
        }
    }
}
