import CLinux
import Cryptography
import Dataplane
import Platform

/// `sluice bench`: the real pipeline in memory, and beside it the bare cipher, in turns within one run, so that a machine
/// whose speed changes changes both.
package struct DataplaneBenchmark {
    private let configuration: BenchmarkConfiguration
    private let engine: any ESPEngine

    package init(_ configuration: BenchmarkConfiguration, engine: any ESPEngine) throws(BenchmarkError) {
        guard (1...256).contains(configuration.batchSize) else { throw .invalid("a batch holds 1 to 256 packets") }
        guard (1...BenchmarkConfiguration.maximumAssociations).contains(configuration.associations) else {
            throw .invalid("\(configuration.associations) SAs: 1 to \(BenchmarkConfiguration.maximumAssociations)")
        }
        guard (1...configuration.associations).contains(configuration.activeAssociations) else {
            throw .invalid("the active SAs are 1 to all SAs")
        }
        guard configuration.batches >= 16 else { throw .invalid("at least 16 batches, or there is nothing to rank") }
        for load in configuration.loads {
            guard load.pattern.allSatisfy({ (48...1_430).contains($0) }) else {
                throw .invalid("packet size \(load): inner packets have 48 to 1430 bytes")
            }
        }
        self.configuration = configuration
        self.engine = engine
    }

    /// Runs all loads. `progress` is told the name of each load as it begins.
    package func run(progress: (String) -> Void = { _ in }) throws -> BenchmarkReport {
        if let core = configuration.core {
            do { try Cores.pin(to: core) } catch { throw BenchmarkError.invalid("core \(core): \(error)") }
        }
        let key = SecretBytes(
            copying: (0..<configuration.transform.keyMaterialLength).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ 1) })
        let hertz = Self.timeStampCounterHertz()
        let pair = try GatewayPair(configuration, engine: engine, key: key)
        let bare = try BareCrypto(configuration, engine: engine, key: key)
        var results: [BenchmarkReport.Result] = []
        for load in configuration.loads {
            progress(load.description)
            results += try measure(load, pair: pair, bare: bare).results(load: load, hertz: hertz)
        }
        return BenchmarkReport(
            timeStampCounterHertz: hertz, engine: engine.name, cipher: configuration.transform.name,
            associations: configuration.associations, activeAssociations: configuration.activeAssociations,
            results: results)
    }

    /// Pipeline and bare cipher take turns, 64 batches each.
    private func measure(_ load: BenchmarkConfiguration.Load, pair: GatewayPair, bare: BareCrypto) throws -> LoadSamples
    {
        let traffic = BenchmarkTraffic(load)
        let packets = configuration.batchSize
        var samples = LoadSamples()
        let turn = max(64, (configuration.activeAssociations + packets - 1) / packets)
        // Warm up: every SA once, so that its flow is known and its memory mapped.
        for _ in 0..<turn {
            _ = try pair.run(traffic)
            _ = bare.run(traffic)
        }
        var remaining = configuration.batches
        while remaining > 0 {
            for _ in 0..<min(turn, remaining) {
                let (outbound, inbound) = try pair.run(traffic)
                samples.outbound.add(cycles: outbound, packets: packets)
                samples.inbound.add(cycles: inbound, packets: packets)
                samples.loop.add(cycles: outbound + inbound, packets: packets)
            }
            for _ in 0..<min(turn, remaining) {
                guard let (seal, open) = bare.run(traffic) else {
                    throw BenchmarkError.setup("the cipher did not verify what it sealed")
                }
                samples.bareSeal.add(cycles: seal, packets: packets)
                samples.bareOpen.add(cycles: open, packets: packets)
                samples.bareLoop.add(cycles: seal + open, packets: packets)
            }
            remaining -= turn
        }
        return samples
    }

    /// Cycles of the time-stamp counter per second, against the monotonic clock over 50 ms.
    static func timeStampCounterHertz() -> Double {
        let startTime = Worker.clock()
        let startCycles = sluice_cycles()
        while Worker.clock() - startTime < 50_000_000 {}
        let cycles = sluice_cycles() - startCycles
        return Double(cycles) * 1e9 / Double(Worker.clock() - startTime)
    }
}
