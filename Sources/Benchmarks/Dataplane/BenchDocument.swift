import Gateway

/// The result of `sluice bench`: as JSON with exactly these names in snake_case, or as a table.
public struct BenchDocument: Codable, Hashable, Sendable {
    public struct Result: Codable, Hashable, Sendable {
        /// `outbound`, `inbound`, or `loop`: one after the other.
        public var direction: String
        public var size: Size
        /// 5th percentile over batches.
        public var cyclesPerPacket: Double
        public var medianCyclesPerPacket: Double
        /// The cipher alone, 5th percentile.
        public var cryptoCyclesPerPacket: Double
        public var packetsPerSecond: Double
        /// The rate of inner packets.
        public var bitsPerSecond: Double
    }

    /// Bytes of the inner packets as a number, or `imix`.
    public enum Size: Codable, Hashable, Sendable {
        case bytes(Int)
        case imix

        public init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            self = (try? container.decode(Int.self)).map(Size.bytes) ?? .imix
        }

        public func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .bytes(let count): try container.encode(count)
            case .imix: try container.encode("imix")
            }
        }
    }

    public var tscHz: Double
    public var engine: String
    public var cipher: String
    public var associations: Int
    public var activeAssociations: Int
    public var results: [Result]

    public init(_ report: BenchmarkReport) {
        tscHz = report.timeStampCounterHertz.rounded()
        engine = report.engine
        cipher = report.cipher
        associations = report.associations
        activeAssociations = report.activeAssociations
        results = report.results.map { result in
            Result(
                direction: result.direction, size: Size(result.load), cyclesPerPacket: result.cyclesPerPacket,
                medianCyclesPerPacket: result.medianCyclesPerPacket,
                cryptoCyclesPerPacket: result.cryptoCyclesPerPacket,
                packetsPerSecond: result.packetsPerSecond.rounded(), bitsPerSecond: result.bitsPerSecond.rounded())
        }
    }

    public var text: String {
        var table = TextTable([
            .left("direction"), .right("size"), .right("cycles/packet"), .right("median"), .right("cipher alone"),
            .right("the rest"), .right("Mpackets/s"), .right("Gbit/s"),
        ])
        for result in results {
            table.append([
                result.direction, result.size.text, HumanText.decimal(result.cyclesPerPacket),
                HumanText.decimal(result.medianCyclesPerPacket), HumanText.decimal(result.cryptoCyclesPerPacket),
                HumanText.decimal(result.cyclesPerPacket - result.cryptoCyclesPerPacket),
                HumanText.hundredths(result.packetsPerSecond / 1e6), HumanText.hundredths(result.bitsPerSecond / 1e9),
            ])
        }
        let tunnels = associations == 1 ? "1 SA" : "\(activeAssociations) of \(associations) SAs in use"
        return "\(cipher) by \(engine), \(tunnels), one core, time-stamp counter at "
            + "\(HumanText.hundredths(tscHz / 1e9)) GHz\n" + table.text()
    }
}

extension BenchDocument.Size {
    init(_ load: BenchmarkConfiguration.Load) {
        switch load {
        case .fixed(let size): self = .bytes(size)
        case .imix: self = .imix
        }
    }

    var text: String {
        switch self {
        case .bytes(let count): "\(count)"
        case .imix: "imix"
        }
    }
}
