import ArgumentParser
import Benchmarks
import Gateway
import IKEv2
import Packets

/// `sluice bench --ike`: the control thread's speed instead of the workers'.
struct BenchIKEOptions: ParsableArguments {
    @Flag(
        help:
            "Measure IKEv2 instead: handshakes as responder, memory for each IKE SA, the cost of liveness checks, CHILD_SAs in the dataplane's tables."
    )
    var ike = false

    @Option(help: ArgumentHelp("With --ike: IKE SAs to negotiate and keep.", valueName: "count"))
    var ikeSas = 10_000

    @Option(
        help: ArgumentHelp("With --ike: seconds of silence before a peer is probed.", valueName: "seconds")
    )
    var dpdDelay: UInt64 = 30

    func validate() throws {
        guard (1...100_000).contains(ikeSas) else { throw ValidationError("--ike-sas is 1 to 100000") }
        guard (1...3600).contains(dpdDelay) else { throw ValidationError("--dpd-delay is 1 to 3600 seconds") }
    }

    func run(json: Bool) throws {
        var configuration = IKEBenchmark.Configuration()
        configuration.associations = ikeSas
        configuration.dpdDelayInSeconds = dpdDelay
        do {
            let report = try IKEBenchmark(configuration).run()
            var benchmark = ChildBenchmark()
            let sizes = [100, 1000, 10_000].filter { $0 < ikeSas } + [ikeSas]
            let document = BenchIKEDocument(report, try benchmark.run(sizes))
            writeToStandardOutput(json ? try JSONDocument.text(document) : document.text)
        } catch {
            throw Failure(.failure, [Problem(of: error)])
        }
    }
}
