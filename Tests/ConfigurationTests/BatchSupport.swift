import Configuration
import IPsec
import Packets
import Testing

/// The start of a state line that needs nothing but algorithms.
let statePrefix = "xfrm state add src 192.0.2.1 dst 192.0.2.2 proto esp spi 0x1000 reqid 1 mode tunnel"
/// A complete AES-GCM algorithm.
let gcm = "aead 'rfc4106(gcm(aes))' 0x000102030405060708090a0b0c0d0e0f10111213 128"
/// A policy line that needs nothing more, without a template.
let policyPrefix = "xfrm policy add src 10.1.0.0/16 dst 10.2.0.0/16 dir out"

/// `count` bytes in hexadecimal, with 0x in front.
func key(_ count: Int) -> String { "0x" + (0..<count).map { byte(UInt8(truncatingIfNeeded: $0 + 0xA0)) }.joined() }

private func byte(_ value: UInt8) -> String {
    let digits = String(value, radix: 16)
    return digits.count == 1 ? "0" + digits : digits
}

func parse(_ text: String) throws -> ManualConfiguration {
    try XfrmBatch.parse(text, file: "lab.xfrm").checked()
}

/// The only state of a line.
func state(_ text: String) throws -> SAParameters {
    let states = try parse(text).states
    try #require(states.count == 1)
    return states[0]
}

/// The errors of a text that must have some.
func errors(_ text: String) throws -> [Problem] {
    do throws(ConfigurationErrors) {
        _ = try XfrmBatch.parse(text, file: "lab.xfrm").checked()
        Issue.record("no errors in: \(text)")
        return []
    } catch {
        return error.errors
    }
}
