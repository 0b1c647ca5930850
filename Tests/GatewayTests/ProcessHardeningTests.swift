import Foundation
import TestSupport
import Testing

@testable import Gateway

/// Keys stay in memory, those that libcrypto holds as well.
@Suite("Locked memory", .serialized) struct ProcessHardeningTests {
    /// Each weakness says what is not protected, why, and what to do.
    @Test func weaknessesAreNamed() {
        let swap = ProcessHardening.Weakness.swap(EPERM).description
        for part in ["Operation not permitted", "libcrypto", "swap", "CAP_IPC_LOCK", "LimitMEMLOCK=infinity"] {
            #expect(swap.contains(part))
        }
        let dumps = ProcessHardening.Weakness.dumps(EINVAL).description
        for part in ["Invalid argument", "core dumps", "LimitCORE=0"] { #expect(dumps.contains(part)) }
    }

    /// Every private writable mapping of a running gateway, its heap and stacks among them, is locked.
    @Test func everythingOfARunningGatewayIsLocked() throws {
        try TwoGateways.with { network in
            let gateway = try SluiceGateway(ManualTunnel().batch(.a), in: network.gatewayA)
            defer { gateway.process.terminate() }
            let folder = "/proc/\(gateway.process.processID)"
            let mappings = try Mapping.read(String(contentsOfFile: folder + "/smaps", encoding: .utf8))
            let writable = mappings.filter { $0.permissions.hasPrefix("rw") && $0.permissions.hasSuffix("p") }
            #expect(writable.contains { $0.name == "[heap]" } && writable.count >= 3)
            let open = writable.filter {
                $0.flags.isDisjoint(with: ["lo", "io", "pf", "ht"])
            }
            #expect(open.map(\.name) == [])
            #expect(!gateway.process.errors.contains("swap space"))
            let limits = try String(contentsOfFile: folder + "/limits", encoding: .utf8)
            let core = limits.split(separator: "\n").first { $0.hasPrefix("Max core file size") }
            #expect(core?.split(separator: " ").contains("0") == true)
        }
    }

    private struct Mapping {
        var name = ""
        var permissions = ""
        var flags: Set<Substring> = []

        static func read(_ text: String) -> [Mapping] {
            var mappings: [Mapping] = []
            for line in text.split(separator: "\n") {
                let words = line.split(separator: " ")
                if words.count >= 5, words[0].contains("-"), words[1].count == 4 {
                    mappings.append(
                        Mapping(name: words.dropFirst(5).joined(separator: " "), permissions: String(words[1])))
                } else if words.first == "VmFlags:", !mappings.isEmpty {
                    mappings[mappings.count - 1].flags = Set(words.dropFirst())
                }
            }
            return mappings
        }
    }
}
