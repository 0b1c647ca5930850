import Configuration
import Foundation
import IKEv2
import Testing

/// Configurations as firewalls write them and as the guides of clouds have them, each with the plan that it comes to: the
/// folder `Guides`. A plan is what `sluice check --config FILE` prints of the configuration.
@Suite struct GuideTests {
    private static let folder = (#filePath as NSString).deletingLastPathComponent + "/Guides"

    static let names: [String] = {
        let files = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return files.filter { $0.hasSuffix(".conf") }.map { String($0.dropLast(5)) }.sorted()
    }()

    private static func text(_ file: String) throws -> String {
        try String(contentsOfFile: folder + "/" + file, encoding: .utf8)
    }

    @Test(arguments: names)
    func thePlanIsRight(_ name: String) throws {
        let configuration = try SwanctlConfiguration.parse(try Self.text(name + ".conf"), file: name + ".conf")
        let isServed = !name.hasPrefix("refused-")
        #expect(configuration.errors.isEmpty == isServed, "\(configuration.errors)")
        #expect(configuration.refused.isEmpty == isServed)
        #expect(configuration.description + "\n" == (try Self.text(name + ".plan")), "\(configuration.description)")
    }

    /// A part with a fault is refused for itself: something else of each of these files runs.
    @Test(arguments: names.filter { $0.hasPrefix("refused-") })
    func theRestRuns(_ name: String) throws {
        let configuration = try SwanctlConfiguration.parse(try Self.text(name + ".conf"), file: name + ".conf")
        #expect(configuration.connections.contains { !$0.negotiated.isEmpty })
    }

    @Test func thereAreEnough() {
        #expect(Self.names.filter { !$0.hasPrefix("refused-") }.count >= 40)
        for product in ["vyos", "pfsense", "opnsense", "openwrt", "aws", "azure", "gcp"] {
            #expect(Self.names.filter { $0.hasPrefix(product + "-") }.count >= 3, "\(product)")
        }
    }
}
