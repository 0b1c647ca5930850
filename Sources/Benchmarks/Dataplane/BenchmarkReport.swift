/// The results of a benchmark. Cycles are those of the time-stamp counter.
package struct BenchmarkReport: Sendable {
    package struct Result: Sendable {
        /// "outbound", "inbound", or "loop": outbound and then inbound.
        package let direction: String
        package let load: BenchmarkConfiguration.Load
        /// Mean bytes of the inner packets.
        package let meanSize: Double
        /// The whole path, 5th percentile over batches.
        package let cyclesPerPacket: Double
        /// The whole path, median over batches.
        package let medianCyclesPerPacket: Double
        /// The engine's cipher alone on the same packets in the same run, 5th percentile over batches.
        package let cryptoCyclesPerPacket: Double
        /// On one core, at `cyclesPerPacket`.
        package let packetsPerSecond: Double
        /// The rate of inner packets on one core, at `cyclesPerPacket`.
        package let bitsPerSecond: Double

        /// Everything but the cipher.
        package var overheadCyclesPerPacket: Double { cyclesPerPacket - cryptoCyclesPerPacket }
    }

    package let timeStampCounterHertz: Double
    package let engine: String
    package let cipher: String
    package let associations: Int
    package let activeAssociations: Int
    package let results: [Result]
}

/// Cycles per packet of many batches.
struct Samples {
    private(set) var values: [Double] = []

    mutating func add(cycles: UInt64, packets: Int) { values.append(Double(cycles) / Double(packets)) }

    /// The value below which the given share of the samples lies.
    func percentile(_ share: Double) -> Double {
        guard !values.isEmpty else { return 0 }
        let sorted = values.sorted()
        return sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
    }
}

/// The samples of one load.
struct LoadSamples {
    var outbound = Samples()
    var inbound = Samples()
    var loop = Samples()
    var bareSeal = Samples()
    var bareOpen = Samples()
    var bareLoop = Samples()

    func results(load: BenchmarkConfiguration.Load, hertz: Double) -> [BenchmarkReport.Result] {
        let pattern = load.pattern
        let mean = Double(pattern.reduce(0, +)) / Double(pattern.count)
        return [("outbound", outbound, bareSeal), ("inbound", inbound, bareOpen), ("loop", loop, bareLoop)].map {
            (direction, whole, bare) in
            let cycles = whole.percentile(0.05)
            return BenchmarkReport.Result(
                direction: direction, load: load, meanSize: mean, cyclesPerPacket: cycles,
                medianCyclesPerPacket: whole.percentile(0.5), cryptoCyclesPerPacket: bare.percentile(0.05),
                packetsPerSecond: hertz / cycles, bitsPerSecond: hertz / cycles * mean * 8)
        }
    }
}
