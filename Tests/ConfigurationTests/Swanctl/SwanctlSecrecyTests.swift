import Configuration
import Foundation
import Testing

/// No message and no description ever shows a secret, however wrong the file is.
@Suite struct SwanctlSecrecyTests {
    private static let secret = "s3cretK3ysWord"

    @Test(arguments: [
        "secret = \"S", "secret S", "secret : S", "secret = 0xS", "secret = 0sS*", "sekret = S\nid = 10.0.0.0/8",
        "S = 1", "S", "S {\n}\n", "secret = a\nS", "secret = a\n S b", "secret = a b\n\"S\" = 1", "secret = a}\nS",
        "secret = \"a\nb\" \nS = 5", "secret = x\ninclude S", "secret = x {\nS", "file = S\nsecret = S",
        "secret = S\nunknown = 1", "secret = S}", "secret = S#S", "id = 10.0.0.0/8\nsecret = S",
        "secret = a\nS : b { }", "secret = ${S}", "secret = {{ S }}", "id = ${S}", "secret-a = S", "secret-a = S}",
        "S.x = 1",
        "secret = a\nS.x = 1", "S x {", "x S {", "id = a; id-b = S", "id = a secret = S", "id = a\nid = S#S",
        "secret = \"a\nS.b {", "conn S", "{{ S }}", "secret = a\nikeS {\nid = a\nid = b",
    ])
    func errorsShowNoSecret(lines: String) throws {
        let lines = lines.replacing("S", with: Self.secret)
        for section in ["ike-1", "private-1", "eap-1", "ik"] {
            for end in ["\n }\n}\n", "\n }", ""] {
                let messages = messages("secrets {\n \(section) {\n \(lines)\(end)")
                // File names are no secrets; the first word of a section is its name.
                if lines.contains("file = ") || lines.contains("include") { continue }
                #expect(!messages.contains(Self.secret), "\(messages)")
            }
        }
        #expect(!messages("secrets {\n ike {\n secret = \(Self.secret)\n").isEmpty)
    }

    private func messages(_ text: String) -> String {
        do throws(ConfigurationErrors) {
            let configuration = try SwanctlConfiguration.parse(text, file: "swanctl.conf")
            var dumped = ""
            dump(configuration, to: &dumped)
            return configuration.description + dumped + "\(SwanctlDocument(configuration))"
        } catch {
            return error.description
        }
    }

    @Test func descriptionsShowNoSecret() throws {
        let text = "secrets {\n ike-1 {\n id = moon\n secret = \(Self.secret)\n }\n}"
        let configuration = try swanctl(text)
        #expect(configuration.credentials.sharedKeys.count == 1)
        #expect(configuration.description.contains("pre-shared key ike-1 for moon"))
        #expect(!messages(text).contains(Self.secret))
        // Neither as bytes.
        #expect(!messages(text).contains("115, 51, 99, 114"))
    }
}
