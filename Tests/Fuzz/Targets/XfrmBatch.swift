import Configuration
import FuzzSupport

/// Batch files: whatever they hold, they are read or refused, and no message shows the text that stands for a key.
@main
enum FuzzXfrmBatch {
    /// Planted behind the input's algorithm words; no word of any message may have it.
    private static let secret = "Zq7XkW"

    static func main() {
        fuzz { input, count in
            let bytes = UnsafeRawBufferPointer(start: input, count: count)
            _ = messages(bytes)
            let text = String(decoding: bytes, as: UTF8.self)
            guard !text.contains(secret) else { return }
            let planted = text.split(separator: "\n", omittingEmptySubsequences: false)
                .map { "xfrm state add aead 'rfc4106(gcm(aes))' \(secret) \($0)" }.joined(separator: "\n")
            require(!messages(planted).contains(secret), "a key in a message")
        }
    }

    private static func messages(_ bytes: UnsafeRawBufferPointer) -> String {
        do throws(ConfigurationErrors) {
            let configuration = try XfrmBatch.parse(bytes: bytes, file: "f")
            return ([configuration.description] + configuration.errors.map(\.description)).joined(separator: "\n")
        } catch {
            require(!error.errors.isEmpty, "no errors and no result")
            return error.description
        }
    }

    private static func messages(_ text: String) -> String {
        var text = text
        return text.withUTF8 { messages(UnsafeRawBufferPointer($0)) }
    }
}
