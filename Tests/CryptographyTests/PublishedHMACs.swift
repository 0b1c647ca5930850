import Cryptography
import Testing

/// An HMAC whose key has the length that ESP uses.
struct PublishedHMAC: CustomTestStringConvertible, Sendable {
    let source: String
    let integrity: ESPTransform.Integrity
    let key: String
    let message: String
    let icv: String

    var testDescription: String { source }
}

extension PublishedHMAC {
    private static let hiThere = "4869205468657265"
    private static let jefe = "4a656665"
    private static let whatDoYaWant = "7768617420646f2079612077616e7420666f72206e6f7468696e673f"
    private static let dd50 = String(repeating: "dd", count: 50)
    private static let cd50 = String(repeating: "cd", count: 50)
    private static let count1to32 = "0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20"
    private static let count10to25 = "0a0b0c0d0e0f10111213141516171819"
    private static let count33to64 = "2122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f40"

    private static func times(_ count: Int, _ digits: String) -> String { String(repeating: digits, count: count) }

    static let all: [PublishedHMAC] = sha1 + sha256 + sha384 + sha512

    private static let sha1 = [
        PublishedHMAC(
            source: "RFC 2202, SHA-1 case 1", integrity: .hmacSHA1_96, key: times(20, "0b"), message: hiThere,
            icv: "b617318655057264e28bc0b6"),
        PublishedHMAC(
            source: "RFC 2202, SHA-1 case 3", integrity: .hmacSHA1_96, key: times(20, "aa"), message: dd50,
            icv: "125d7342b9ac11cd91a39af4"),
        PublishedHMAC(
            source: "RFC 2202, SHA-1 case 5", integrity: .hmacSHA1_96, key: times(20, "0c"),
            message: "546573742057697468205472756e636174696f6e", icv: "4c1a03424b55e07fe7f27be1"),
    ]

    private static let sha256 = [
        PublishedHMAC(
            source: "RFC 4868 AUTH256-1", integrity: .hmacSHA256_128, key: times(32, "0b"), message: hiThere,
            icv: "198a607eb44bfbc69903a0f1cf2bbdc5"),
        PublishedHMAC(
            source: "RFC 4868 AUTH256-2", integrity: .hmacSHA256_128, key: times(8, jefe), message: whatDoYaWant,
            icv: "167f928588c5cc2eef8e3093caa0e87c"),
        PublishedHMAC(
            source: "RFC 4868 AUTH256-3", integrity: .hmacSHA256_128, key: times(32, "aa"), message: dd50,
            icv: "cdcb1220d1ecccea91e53aba3092f962"),
        PublishedHMAC(
            source: "RFC 4868 AUTH256-4", integrity: .hmacSHA256_128, key: count1to32, message: cd50,
            icv: "372efcf9b40b35c2115b1346903d2ef4"),
    ]

    private static let sha384 = [
        PublishedHMAC(
            source: "RFC 4868 AUTH384-1", integrity: .hmacSHA384_192, key: times(48, "0b"), message: hiThere,
            icv: "b6a8d5636f5c6a7224f9977dcf7ee6c7fb6d0c48cbdee973"),
        PublishedHMAC(
            source: "RFC 4868 AUTH384-2", integrity: .hmacSHA384_192, key: times(12, jefe), message: whatDoYaWant,
            icv: "2c7353974f1842fd66d53c452ca42122b28c0b594cfb184d"),
        PublishedHMAC(
            source: "RFC 4868 AUTH384-3", integrity: .hmacSHA384_192, key: times(48, "aa"), message: dd50,
            icv: "809f439be00274321d4a538652164b53554a508184a0c316"),
        PublishedHMAC(
            source: "RFC 4868 AUTH384-4", integrity: .hmacSHA384_192, key: count1to32 + count10to25, message: cd50,
            icv: "5b540085c6e6358096532b2493609ed1cb298f774f87bb5c"),
    ]

    private static let sha512 = [
        PublishedHMAC(
            source: "RFC 4868 AUTH512-1", integrity: .hmacSHA512_256, key: times(64, "0b"), message: hiThere,
            icv: "637edc6e01dce7e6742a99451aae82df23da3e92439e590e43e761b33e910fb8"),
        PublishedHMAC(
            source: "RFC 4868 AUTH512-2", integrity: .hmacSHA512_256, key: times(16, jefe), message: whatDoYaWant,
            icv: "cb370917ae8a7ce28cfd1d8f4705d6141c173b2a9362c15df235dfb251b15454"),
        PublishedHMAC(
            source: "RFC 4868 AUTH512-3", integrity: .hmacSHA512_256, key: times(64, "aa"), message: dd50,
            icv: "2ee7acd783624ca9398710f3ee05ae41b9f9b0510c87e49e586cc9bf961733d8"),
        // The RFC prints 80 bytes of key for a case of 64; its result belongs to the last 64.
        PublishedHMAC(
            source: "RFC 4868 AUTH512-4", integrity: .hmacSHA512_256, key: count1to32 + count33to64, message: cd50,
            icv: "5e6688e5a3daec826ca32eaea224eff5e700628947470e13ad01302561bab108"),
    ]
}
