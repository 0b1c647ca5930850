import Cryptography
import Testing

/// RFC 4231: key, data, and the three HMACs; RFC 4868 section 2.7.1 prints them again for IKEv2, without case 5, which is
/// about truncation.
private struct PublishedPRF: Sendable, CustomTestStringConvertible {
    let testDescription: String
    let key: String
    let data: String
    let outputs: [PRF: String]
}

@Suite struct PRFTests {
    @Test(arguments: PublishedPRF.all, PRF.allCases.filter { $0 != .hmacSHA1 })
    fileprivate func agreesWithRFC4231(published: PublishedPRF, prf: PRF) throws {
        let key = SecretBytes(copying: bytes(published.key))
        let data = bytes(published.data)
        let expected = SecretBytes(copying: bytes(try #require(published.outputs[prf])))
        #expect(try prf.compute(key: key, .bytes(data)) == expected)
        // The same message in parts, public and secret, some of them empty.
        let middle = data.count / 2
        let parts: [PRFInput] = [
            .bytes([]), .bytes(Array(data[..<middle])), .secret(SecretBytes(copying: [])),
            .secret(SecretBytes(copying: data[middle...])),
        ]
        #expect(try prf.compute(key: key, parts) == expected)
    }

    /// RFC 2202 section 3, cases 1 to 3 and 6.
    @Test(arguments: [
        (
            String(repeating: "0b", count: 20), "4869205468657265",
            "b617318655057264e28bc0b6fb378c8ef146be00"
        ),
        (
            "4a656665", "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
            "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"
        ),
        (
            String(repeating: "aa", count: 20), String(repeating: "dd", count: 50),
            "125d7342b9ac11cd91a39af48aa17b4f63f175d3"
        ),
        (
            String(repeating: "aa", count: 80),
            "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368204b6579204669727374",
            "aa4ae5e15272d00e95705637ce8a3b55ed402112"
        ),
    ])
    func agreesWithRFC2202(key: String, data: String, expected: String) throws {
        let output = try PRF.hmacSHA1.compute(key: SecretBytes(copying: bytes(key)), .bytes(bytes(data)))
        #expect(output == SecretBytes(copying: bytes(expected)))
    }

    /// Against the definition of RFC 7296 section 2.13, block by block.
    @Test(arguments: PRF.allCases) func expandsBlockByBlock(prf: PRF) throws {
        let key = try SecretBytes.random(count: prf.outputLength)
        let seed = try SecretBytes.random(count: 40)
        var expected: [UInt8] = []
        var previous = SecretBytes(copying: [])
        for index in 1...5 as ClosedRange<UInt8> {
            previous = try prf.compute(key: key, .secret(previous), .secret(seed), .bytes([index]))
            expected += previous.withUnsafeBytes { Array($0) }
        }
        let length = prf.outputLength
        for count in [0, 1, length - 1, length, length + 1, 5 * length - 3, 5 * length] {
            let expanded = try prf.expand(key: key, .secret(seed[0..<7]), .secret(seed[7..<40]), count: count)
            #expect(expanded == SecretBytes(copying: expected[..<count]), "\(count) bytes")
        }
    }

    /// HKDF-Expand of RFC 5869 is prf+ by another name; these are its cases 1 and 2.
    @Test func expandsAsPublished() throws {
        let first = SecretBytes(copying: bytes("077709362c2e32df0ddc3f0dc47bba6390b6c73bb50f9c3122ec844ad7c2b3e5"))
        let firstOutput = bytes(
            "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf"
                + "34007208d5b887185865")
        let info = PRFInput.bytes(Array(0xf0...0xf9))
        #expect(try PRF.hmacSHA256.expand(key: first, info, count: 42) == SecretBytes(copying: firstOutput))
        let second = SecretBytes(copying: bytes("06a6b88c5853361a06104c9ceb35b45cef760014904671014a193f40c15fc244"))
        let secondOutput = bytes(
            "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
                + "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
                + "cc30c58179ec3e87c14c01d5c1f3434f1d87")
        let longInfo = PRFInput.bytes(Array(0xb0...0xff))
        #expect(try PRF.hmacSHA256.expand(key: second, longInfo, count: 82) == SecretBytes(copying: secondOutput))
    }

    /// The RFC's counter is one byte.
    @Test(arguments: PRF.allCases) func stopsAfter255Blocks(prf: PRF) throws {
        let key = SecretBytes(copying: [1])
        #expect(try prf.expand(key: key, .bytes([2]), count: 255 * prf.outputLength).count == 255 * prf.outputLength)
        #expect(throws: CryptographyError.self) {
            try prf.expand(key: key, .bytes([2]), count: 255 * prf.outputLength + 1)
        }
    }

    @Test func anEmptyKeyIsNotTheOneBefore() throws {
        let empty = SecretBytes(copying: [])
        let before = try PRF.hmacSHA256.compute(key: SecretBytes(copying: [1]), .bytes([]))
        let after = try PRF.hmacSHA256.compute(key: empty, .bytes([]))
        #expect(before != after)
        // HMAC-SHA-256 of nothing under nothing.
        let known = "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad"
        #expect(after == SecretBytes(copying: bytes(known)))
    }

    @Test func namesAndNumbers() {
        #expect(PRF.allCases.map(\.rawValue) == [2, 5, 6, 7])
        #expect(PRF.allCases.map(\.name) == ["prfsha1", "prfsha256", "prfsha384", "prfsha512"])
        for prf in PRF.allCases { #expect(PRF(name: prf.name) == prf) }
        #expect(PRF(name: "prfmd5") == nil)
    }
}

extension PublishedPRF {
    private static func times(_ count: Int, _ digits: String) -> String { String(repeating: digits, count: count) }

    static let all = [
        PublishedPRF(
            testDescription: "RFC 4231 case 1", key: times(20, "0b"), data: "4869205468657265",
            outputs: [
                .hmacSHA256: "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
                .hmacSHA384: "afd03944d84895626b0825f4ab46907f15f9dadbe4101ec682aa034c7cebc59c"
                    + "faea9ea9076ede7f4af152e8b2fa9cb6",
                .hmacSHA512: "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
                    + "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
            ]),
        PublishedPRF(
            testDescription: "RFC 4231 case 2", key: "4a656665",
            data: "7768617420646f2079612077616e7420666f72206e6f7468696e673f",
            outputs: [
                .hmacSHA256: "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
                .hmacSHA384: "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e"
                    + "8e2240ca5e69e2c78b3239ecfab21649",
                .hmacSHA512: "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
                    + "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
            ]),
        PublishedPRF(
            testDescription: "RFC 4231 case 3", key: times(20, "aa"), data: times(50, "dd"),
            outputs: [
                .hmacSHA256: "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe",
                .hmacSHA384: "88062608d3e6ad8a0aa2ace014c8a86f0aa635d947ac9febe83ef4e55966144b"
                    + "2a5ab39dc13814b94e3ab6e101a34f27",
                .hmacSHA512: "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39"
                    + "bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb",
            ]),
        PublishedPRF(
            testDescription: "RFC 4231 case 4",
            key: "0102030405060708090a0b0c0d0e0f10111213141516171819",
            data: times(50, "cd"),
            outputs: [
                .hmacSHA256: "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b",
                .hmacSHA384: "3e8a69b7783c25851933ab6290af6ca77a9981480850009cc5577c6e1f573b4e"
                    + "6801dd23c4a7d679ccf8a386c674cffb",
                .hmacSHA512: "b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3db"
                    + "a91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de2adebeb10a298dd",
            ]),
        PublishedPRF(
            testDescription: "RFC 4231 case 6, a key longer than a block", key: times(131, "aa"),
            data: "54657374205573696e67204c6172676572205468616e20426c6f636b2d53697a65204b6579202d2048617368204b6579"
                + "204669727374",
            outputs: [
                .hmacSHA256: "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
                .hmacSHA384: "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c6"
                    + "0c2ef6ab4030fe8296248df163f44952",
                .hmacSHA512: "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
                    + "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
            ]),
        PublishedPRF(
            testDescription: "RFC 4231 case 7, key and data longer than a block",
            key: times(131, "aa"),
            data: "5468697320697320612074657374207573696e672061206c6172676572207468"
                + "616e20626c6f636b2d73697a65206b657920616e642061206c61726765722074"
                + "68616e20626c6f636b2d73697a6520646174612e20546865206b6579206e6565"
                + "647320746f20626520686173686564206265666f7265206265696e6720757365"
                + "642062792074686520484d414320616c676f726974686d2e",
            outputs: [
                .hmacSHA256: "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2",
                .hmacSHA384: "6617178e941f020d351e2f254e8fd32c602420feb0b8fb9adccebb82461e99c5"
                    + "a678cc31e799176d3860e6110c46523e",
                .hmacSHA512: "e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944"
                    + "b6022cac3c4982b10d5eeb55c3e4de15134676fb6de0446065c97440fa8c6a58",
            ]),
    ]
}
