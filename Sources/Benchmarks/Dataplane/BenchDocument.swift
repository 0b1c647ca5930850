import Gateway

/// The result of `sluice bench`: as JSON with exactly these names in snake_case, or as a table.
package struct BenchDocument: Codable, Hashable, Sendable {
    package struct Result: Codable, Hashable, Sendable {
        /// `outbound`, `inbound`, or `loop`: one after the other.
        package var direction: String
        package var size: Size
        /// 5th percentile over batches.
        package var cyclesPerPacket: Double
        package var medianCyclesPerPacket: Double
        /// The cipher alone, 5th percentile.
        package var cryptoCyclesPerPacket: Double
        package var packetsPerSecond: Double
        /// The rate of inner packets.
        package var bitsPerSecond: Double
    }

    /// Bytes of the inner packets as a number, or `imix`.
    package enum Size: Codable, Hashable, Sendable {
        case bytes(Int)
        case imix

        package init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            self = (try? container.decode(Int.self)).map(Size.bytes) ?? .imix
        }

        package func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .bytes(let count): try container.encode(count)
            case .imix: try container.encode("imix")
            }
        }
    }

    package var tscHz: Double
    package var engine: String
    package var cipher: String
    package var associations: Int
    package var activeAssociations: Int
    package var results: [Result]

    package init(_ report: BenchmarkReport) {
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

    package var text: String {
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
