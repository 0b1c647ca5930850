import Configuration
import FuzzSupport

/// swanctl.conf: whatever it holds, it is read or refused, and no message shows what stands for a secret.
@main
enum FuzzSwanctl {
    /// Planted as the value of a secret; no message may have it.
    private static let secret = "Zq7XkW"

    static func main() {
        fuzz { input, count in
            let text = String(decoding: UnsafeRawBufferPointer(start: input, count: count), as: UTF8.self)
            // Files that are none would be read, or waited for.
            guard !text.contains("/dev"), !text.contains("/proc"), !text.contains(secret) else { return }
            _ = messages(text)
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            let planted = lines.map { "secret = \(secret) \($0)" }.joined(separator: "\n")
            require(!messages("secrets {\nike {\n\(planted)").contains(secret), "a secret in a message")
            require(!messages("secrets {\nike {\nsecret = \"\(secret)\(text)").contains(secret), "a quoted one")
        }
    }

    private static func messages(_ text: String) -> String {
        do throws(ConfigurationErrors) {
            let configuration = try SwanctlConfiguration.parse(text, file: "f")
            return ([configuration.description] + configuration.errors.map(\.description)).joined(separator: "\n")
        } catch {
            require(!error.errors.isEmpty, "no errors and no result")
            return error.description
        }
    }
}
