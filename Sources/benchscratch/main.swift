import Cryptography
import Dataplane
func go() throws {
    let args = CommandLine.arguments
    var c = BenchmarkConfiguration(transform: try ESPTransform(encryption: .aesGCM(keyBits: 128, icvBytes: 16)))
    if args.count > 1 { c.associations = Int(args[1])!; c.activeAssociations = Int(args[2])! }
    if args.count > 3 { c.loads = args[3] == "imix" ? [.imix] : [.fixed(Int(args[3])!)] }
    if args.count > 4 { c.batches = Int(args[4])! }
    if args.count > 5 { c.batchSize = Int(args[5])! }
    c.core = 1
    let r = try DataplaneBenchmark(c, engine: OpenSSLEngine()).run()
    for x in r.results { print(x.direction, x.load, Int(x.cyclesPerPacket), Int(x.medianCyclesPerPacket), "crypto", Int(x.cryptoCyclesPerPacket), "over", Int(x.overheadCyclesPerPacket)) }
}
try go()
