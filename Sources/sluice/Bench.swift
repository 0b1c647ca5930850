import ArgumentParser
import Benchmarks
import Cryptography
import Dataplane
import Gateway
import Packets

extension ESPTransform: ExpressibleByArgument {
    public init?(argument: String) { self.init(argument) }
    public var defaultValueDescription: String { name }
}

/// A value of `--size`: bytes, or `imix`.
extension BenchmarkConfiguration.Load: ExpressibleByArgument {
    public init?(argument: String) {
        if argument == "imix" {
            self = .imix
        } else if let size = Int(argument) {
            self = .fixed(size)
        } else {
            return nil
        }
    }
}

struct Bench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure this machine's speed, in memory: no root, no network card.",
        discussion: """
            Sends packets through the real pipeline, from receive ring to transmit ring, and measures beside it what the \
            cipher alone costs on the same packets: the difference is everything else. Cycles are those of the \
            time-stamp counter; the 5th percentile over batches is the machine when nothing else disturbs it.

              sluice bench --cipher aes256gcm16 --size 64 --size imix --sas 10000
            """)

    @Option(help: ArgumentHelp("ESP cipher in strongSwan's notation; may be given several times.", valueName: "name"))
    var cipher: [ESPTransform] = []

    @Option(
        help: ArgumentHelp(
            "Inner packet size in bytes (48 to 1430), or imix (7 x 64, 4 x 570, 1 x 1420); may be given several times.",
            valueName: "size"))
    var size: [BenchmarkConfiguration.Load] = []

    @Option(help: ArgumentHelp("Security associations that exist in each direction.", valueName: "count"))
    var sas = 1

    @Option(help: ArgumentHelp("Security associations that the packets are spread over.", valueName: "count"))
    var activeSas = 1

    @Flag(help: "Use extended sequence numbers.")
    var esn = false

    @Option(help: ArgumentHelp("Packets per batch: 1 to 256.", valueName: "packets"))
    var batch = 64

    @Option(help: ArgumentHelp("Batches to measure for each size, 16 at least.", valueName: "count"))
    var batches = 4096

    @Option(help: ArgumentHelp("Core to measure on. By default the scheduler's choice.", valueName: "core"))
    var core: Int?

    @Option(help: ArgumentHelp("Engine for the cryptography.", valueName: "engine"))
    var engine = GatewayOptions.Engine.auto

    @OptionGroup(title: "IKEv2")
    var ikeOptions: BenchIKEOptions

    @Flag(help: "Print one JSON document; an array of them for several ciphers.")
    var json = false

    func run() throws {
        if ikeOptions.ike { return try ikeOptions.run(json: json) }
        let ciphers = try cipher.isEmpty ? [ESPTransform(parsing: "aes128gcm16")] : cipher
        do {
            let reports = try ciphers.map(measure)
            if json {
                writeToStandardOutput(
                    reports.count == 1 ? try JSONDocument.text(reports[0]) : try JSONDocument.text(reports))
            } else {
                writeToStandardOutput(reports.map(\.text).joined(separator: "\n"))
            }
        } catch BenchmarkError.invalid(let why) {
            throw ValidationError(why)
        } catch {
            throw Failure(.failure, [Problem(of: error)])
        }
    }

    private func measure(_ transform: ESPTransform) throws -> BenchDocument {
        var configuration = BenchmarkConfiguration(transform: transform)
        if !size.isEmpty { configuration.loads = size }
        configuration.associations = sas
        configuration.activeAssociations = activeSas
        configuration.extendedSequenceNumbers = esn
        configuration.batchSize = batch
        configuration.batches = batches
        configuration.core = core
        let benchmark = try DataplaneBenchmark(configuration, engine: engine.maker)
        return BenchDocument(try benchmark.run())
    }
}
