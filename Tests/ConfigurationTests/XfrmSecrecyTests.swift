import Configuration
import Foundation
import Testing

/// No message and no description ever shows a key, however wrong the line is.
@Suite struct XfrmSecrecyTests {
    private static let secret = "s3cretK3ysWord"
    private static let hexadecimal = "deadbeefcafef00ddeadbeefcafef00ddeadbeef"

    @Test(arguments: [
        "aead \(secret) 128", "aead rfc4106(gcm(aes)) \(secret) 128", "aead rfc4106(gcm(aes)) \(secret) \(secret)",
        "aead rfc4106(gcm(aes)) two \(secret) 128", "aead rfc4106(gcm(aes)) '\(secret) 128",
        "aead rfc4106(gcm(aes)) x#\(secret) 128", "enc \(secret) mode tunnel", "enc cbc(aes) a \(secret)",
        "auth 'a \(secret)' b", "auth-trunc hmac(sha256) \(secret)", "auth-trunc hmac(sha256) 1 \(secret)",
        "enc 0x\(hexadecimal)", "0x\(hexadecimal)", "\(hexadecimal)\(hexadecimal)", "reqid 0x\(hexadecimal)",
        "spi 0x\(hexadecimal)", "aead rfc4106(gcm(aes)) 0x\(hexadecimal)g 128", "flag 0x\(hexadecimal)",
        "aead rfc4106(gcm(aes)) 0x\(hexadecimal) 0x\(hexadecimal)", "enc cbc(aes) 0x00 \(hexadecimal)",
    ])
    func errorsShowNoKey(text: String) throws {
        let messages = try errors("\(statePrefix) \(text)").map(\.description).joined()
        #expect(!messages.contains(Self.secret), "\(messages)")
        #expect(!messages.contains(Self.hexadecimal.prefix(12)), "\(messages)")
    }

    @Test func descriptionShowsNoKey() throws {
        let configuration = try parse("\(statePrefix) aead rfc4106(gcm(aes)) 0x\(Self.hexadecimal) 128")
        var dumped = ""
        dump(configuration, to: &dumped)
        #expect(!dumped.isEmpty)
        for text in [configuration.description, dumped, "\(configuration.states)"] {
            #expect(!text.contains(Self.hexadecimal.prefix(12)))
            #expect(!text.contains("222, 173, 190"))
        }
    }
}
