import Testing

/// An ESP packet whose every byte is published.
struct PublishedPacket: CustomTestStringConvertible, Sendable {
    let source: String
    let transform: String
    /// Encryption key and salt, in hexadecimal like the rest.
    let key: String
    /// SPI and sequence number, of eight bytes if it is extended.
    let header: String
    let iv: String
    let plain: String
    let sealed: String
    let icv: String

    var testDescription: String { "\(source), \(transform), SPI \(header.prefix(8))" }
}

extension PublishedPacket {
    static let aead: [PublishedPacket] = [
        PublishedPacket(
            source: "draft-mcgrew-gcm-test-01 (RFC 4106 packets)",
            transform: "aes128gcm16",
            key: "4c80cdefbb5d10da906ac73c3613a6342e443b68",
            header: "000043218765432100000000",
            iv: "4956ed7e3b244cfe",
            plain: "45000048699a000080114db7c0a80102c0a801010a9bf15638d301000001000000000000045f736970045f75"
                + "6470037369700963796265726369747902646b000021000101020201",
            sealed: "fecf537e729d5b07dc30df528dd22b768d1b98736696a6fd348509fa13ceac34cfa2436f14a3f3cf65925bf1"
                + "f4a13c5d15b21e1884f5ff6247aeabb786b93bce61bc17d768fd9732",
            icv: "459018148f6cbe722fd04796562dfdb4"),
        PublishedPacket(
            source: "draft-mcgrew-gcm-test-01 (RFC 4106 packets)",
            transform: "aes128gcm16",
            key: "feffe9928665731c6d6a8f9467308308cafebabe",
            header: "0000a5f80000000a",
            iv: "facedbaddecaf888",
            plain: "4500003e698f000080114dccc0a80102c0a801010a980035002a2343b2d00100000100000000000003736970"
                + "0963796265726369747902646b00000100010001",
            sealed: "deb22cd9b07c72c16e3a65beeb8df304a5a5897d33ae530f1ba76d5d114d2a5c3de81827c10e9a4f51330d0e"
                + "ec416642cfbb85a5b47e48a4ec3b9ba95d918bd1",
            icv: "83b70d3aa8bc6ee4c309e9d85a41ad4a"),
        PublishedPacket(
            source: "draft-mcgrew-gcm-test-01 (RFC 4106 packets)",
            transform: "aes256gcm16",
            key: "abbccddef00112233445566778899aababbccddef00112233445566778899aab11223344",
            header: "4a2cbfe300000002",
            iv: "0102030405060708",
            plain: "4500003069a6400080062690c0a801029389155e0a9e008b2dc57ee0000000007002400020bf0000020405b4"
                + "0101040201020201",
            sealed: "ff425c9b724599df7a3bcd510194e00d6a78107f1b0b1cbf06efae9d65a5d763748a637985771d347f054565"
                + "9f14e99def842d8e",
            icv: "b335f4eecfdbf831824b4c4915956c96"),
        PublishedPacket(
            source: "draft-mcgrew-gcm-test-01 (RFC 4106 packets)",
            transform: "aes128gcm16",
            key: "0000000000000000000000000000000000000000",
            header: "0000000000000001",
            iv: "0000000000000000",
            plain: "4500003c99c500008001cb7a40679318010101010800075c020044006162636465666768696a6b6c6d6e6f70"
                + "7172737475767761626364656667686901020201",
            sealed: "4688daf2f973a392732909c331d56d60f694abaa414b5e7ff5fdcdfff5e9a284456476492719ffb64de7d9dc"
                + "a1e1d894bc3bd57873ed4d181d19d4d5c8c18af3",
            icv: "f821d496eeb096e98ad2b69e4799c71d"),
        PublishedPacket(
            source: "draft-mcgrew-gcm-test-01 (RFC 4106 packets)",
            transform: "aes128gcm16",
            key: "3de09874b388e6491988d0c3607eae1f57690e43",
            header: "42f67e3f1010101010101010",
            iv: "4e280000a2fca1a3",
            plain: "4500001c42a200008001441f406793b6e00000020a00f5ff01020201",
            sealed: "fba2ca845e5df9f0f22c3e6e86dd831e1fc65792cd1af9130e1379ed",
            icv: "369f071f35e034be95f112e4e7d05d35"),
        PublishedPacket(
            source: "draft-mcgrew-gcm-test-01 (RFC 4106 packets)",
            transform: "aes192gcm16",
            key: "feffe9928665731c6d6a8f9467308308feffe9928665731ccafebabe",
            header: "0000a5f80000000a",
            iv: "facedbaddecaf888",
            plain: "45000028a4ad4000400678800a01038f0a010612802306b8cb712602dd6bb03e501016d075680001",
            sealed: "a5b1f8066029aea40e598b8122de02420938b3ab33f828e687b8858b5bfbdbd0315b27452144cc77",
            icv: "95457b9652037f5318027b5b4cd7a636"),
        PublishedPacket(
            source: "draft-mcgrew-gcm-test-01 (RFC 4106 packets)",
            transform: "aes256gcm16",
            key: "abbccddef00112233445566778899aababbccddef00112233445566778899aab73616c74",
            header: "17405e67156f3126dd0db99b",
            iv: "616e640169766563",
            plain: "45080028732c00004006e9f90a0106120a01038f06b88023dd6bafbecb71260250101f646d540001",
            sealed: "f2d69ecdbd5a0d5b8d5ef38bad4da58d1f278fde98ef67549d524a3018d9a57ff4d3a31ce673119e",
            icv: "451626c2415771e3b7eebca614c89b35"),
        PublishedPacket(
            source: "draft-mcgrew-gcm-test-01 (RFC 4106 packets)",
            transform: "aes128gcm16",
            key: "7d773d00c144c525ac619d18c84a3f47d9664267",
            header: "335467aeffffffff",
            iv: "43457e9182443bc6",
            plain: "01020201",
            sealed: "437f866b",
            icv: "cb3f699fe9b0822bac961c4504bef270"),
        PublishedPacket(
            source: "draft-mcgrew-gcm-test-01 (RFC 4106 packets)",
            transform: "aes256gcm16",
            key: "6c6567616c697a656d6172696a75616e61616e64646f69746265666f726569617475726e",
            header: "796b6963ffffffffffffffff",
            iv: "333021696765746d",
            plain: "45000030da3a00008001df3bc0a80005c0a800010800c6cd020007006162636465666768696a6b6c6d6e6f70"
                + "7172737401020201",
            sealed: "f97ab2aa356d8edce17644ac8c78e25dd24dedbb29ebf1b64a274b39b49c3a864cd3d78ca4ae68a32b42458f"
                + "b57dbe821dcc63b9",
            icv: "d0937ba2945f669368661a329fb4c053"),
        PublishedPacket(
            source: "draft-mcgrew-gcm-test-01 (RFC 4543 packet)",
            transform: "aes128gmac",
            key: "4c80cdefbb5d10da906ac73c3613a63422433c64",
            header: "0000432100000007",
            iv: "0000000000000000",
            plain: "45000030da3a00008001df3bc0a80005c0a800010800c6cd020007006162636465666768696a6b6c6d6e6f70"
                + "7172737401020201",
            sealed: "45000030da3a00008001df3bc0a80005c0a800010800c6cd020007006162636465666768696a6b6c6d6e6f70"
                + "7172737401020201",
            icv: "f2a9a836e155106aa8dcd618e4099aaa"),
        PublishedPacket(
            source: "RFC 7634 appendix A",
            transform: "chacha20poly1305",
            key: "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3",
            header: "0102030400000005",
            iv: "1011121314151617",
            plain: "45000054a6f200004001e778c6336405c000020508005b7a3a080000553bec100007362708090a0b0c0d0e0f"
                + "101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363701020204",
            sealed: "24039428b97f417e3c13753a4f05087b67c352e6a7fab1b982d466ef407ae5c614ee8099d52844eb61aa95df"
                + "ab4c02f72aa71e7c4c4f64c9befe2facc638e8f3cbec163fac469b502773f6fb94e664da9165b82829f641e0",
            icv: "76aaa8266b7fb0f7b11b369907e1ad43"),
    ]

    /// RFC 3602 section 4, cases 5 to 8. The RFC has no ICV.
    static let cbc: [PublishedPacket] = [
        PublishedPacket(
            source: "RFC 3602",
            transform: "aes128-sha256",
            key: "90d382b410eeba7ad938c46cec1a82bf",
            header: "0000432100000001",
            iv: "e96e8c08ab465763fd098d45dd3ff893",
            plain: "08000ebda70a00008e9c083db95b070008090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223"
                + "2425262728292a2b2c2d2e2f30313233343536370102030405060708090a0b0c0d0e0e01",
            sealed: "f663c25d325c18c6a9453e194e120849a4870b66cc6b9965330013b4898dc856a4699e523a55db080b59ec3a"
                + "8e4b7e52775b07d1db34ed9c538ab50c551b874aa269add047ad2d5913ac19b7cfbad4a6",
            icv: ""),
        PublishedPacket(
            source: "RFC 3602",
            transform: "aes128-sha256",
            key: "90d382b410eeba7ad938c46cec1a82bf",
            header: "0000432100000008",
            iv: "69d08df7d203329db093fc4924e5bd80",
            plain: "0800b5e8a80a0500a69c083d0b660e0077777777777777777777777701020201",
            sealed: "f51995881ec4e0c4488987ce742e8109689bb379d2d750c0d915dca346a89f75",
            icv: ""),
        PublishedPacket(
            source: "RFC 3602",
            transform: "aes128-sha256",
            key: "0123456789abcdef0123456789abcdef",
            header: "0000876500000002",
            iv: "f4e765244f6407adf13dc1380f673f37",
            plain: "45000054090400004001f988c0a87b03c0a87bc808009f76a90a0100b49c083d02a2040008090a0b0c0d0e0f"
                + "101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363701020304"
                + "05060708090a0a04",
            sealed: "773b5241a4c449225e4f3ce5ed611b0c237ca96cf74a93013c1b0ea1a0cf70f8e4ecaec78ac53aad7a0f022b"
                + "859243c647752e94a859352b8a4d4d2decd136e5c177f132ad3fbfb2201ac9904c74ee0a109e0ca1e4dfe9d5"
                + "a100b842f1c22f0d",
            icv: ""),
        PublishedPacket(
            source: "RFC 3602",
            transform: "aes128-sha256",
            key: "0123456789abcdef0123456789abcdef",
            header: "0000876500000005",
            iv: "85d47224b5f3dd5d2101d4ea8dffab22",
            plain: "45000044090c00004001f990c0a87b03c0a87bc80800d63caa0a0200c69c083da3de0300ffffffffffffffff"
                + "ffffffffffffffffffffffffffffffffffffffffffffffff0102030405060708090a0a04",
            sealed: "15b92683819596a8047232cc00f7048fe45318e11f8a0f62ede3c3fc61203bb50f980a08c9843fd3a1b06d5c"
                + "07ff9639b7eb7dfb3512e5de435e7207ed971ef3d2726d9b5ef6affc6d17a0decbb13892",
            icv: ""),
    ]

    /// RFC 3686 section 6. The RFC has neither header nor ICV.
    static let ctr: [PublishedPacket] = [
        PublishedPacket(
            source: "RFC 3686",
            transform: "aes128ctr-sha256",
            key: "ae6852f8121067cc4bf7a5765577f39e00000030",
            header: "0000123400000001",
            iv: "0000000000000000",
            plain: "53696e676c6520626c6f636b206d7367",
            sealed: "e4095d4fb7a7b3792d6175a3261311b8",
            icv: ""),
        PublishedPacket(
            source: "RFC 3686",
            transform: "aes128ctr-sha256",
            key: "7e24067817fae0d743d6ce1f32539163006cb6db",
            header: "0000123400000001",
            iv: "c0543b59da48d90b",
            plain: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            sealed: "5104a106168a72d9790d41ee8edad388eb2e1efc46da57c8fce630df9141be28",
            icv: ""),
        PublishedPacket(
            source: "RFC 3686",
            transform: "aes128ctr-sha256",
            key: "7691be035e5020a8ac6e618529f9a0dc00e0017b",
            header: "0000123400000001",
            iv: "27777f3f4a1786f0",
            plain: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223",
            sealed: "c1cf48a89f2ffdd9cf4652e9efdb72d74540a42bde6d7836d59a5ceaaef3105325b2072f",
            icv: ""),
        PublishedPacket(
            source: "RFC 3686",
            transform: "aes192ctr-sha256",
            key: "16af5b145fc9f579c175f93e3bfb0eed863d06ccfdb7851500000048",
            header: "0000123400000001",
            iv: "36733c147d6d93cb",
            plain: "53696e676c6520626c6f636b206d7367",
            sealed: "4b55384fe259c9c84e7935a003cbe928",
            icv: ""),
        PublishedPacket(
            source: "RFC 3686",
            transform: "aes192ctr-sha256",
            key: "7c5cb2401b3dc33c19e7340819e0f69c678c3db8e6f6a91a0096b03b",
            header: "0000123400000001",
            iv: "020c6eadc2cb500d",
            plain: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            sealed: "453243fc609b23327edfaafa7131cd9f8490701c5ad4a79cfc1fe0ff42f4fb00",
            icv: ""),
        PublishedPacket(
            source: "RFC 3686",
            transform: "aes192ctr-sha256",
            key: "02bf391ee8ecb159b959617b0965279bf59b60a786d3e0fe0007bdfd",
            header: "0000123400000001",
            iv: "5cbd60278dcc0912",
            plain: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223",
            sealed: "96893fc55e5c722f540b7dd1ddf7e758d288bc95c69165884536c811662f2188abee0935",
            icv: ""),
        PublishedPacket(
            source: "RFC 3686",
            transform: "aes256ctr-sha256",
            key: "776beff2851db06f4c8a0542c8696f6c6a81af1eec96b4d37fc1d689e6c1c10400000060",
            header: "0000123400000001",
            iv: "db5672c97aa8f0b2",
            plain: "53696e676c6520626c6f636b206d7367",
            sealed: "145ad01dbf824ec7560863dc71e3e0c0",
            icv: ""),
        PublishedPacket(
            source: "RFC 3686",
            transform: "aes256ctr-sha256",
            key: "f6d66d6bd52d59bb0796365879eff886c66dd51a5b6a99744b50590c87a2388400faac24",
            header: "0000123400000001",
            iv: "c1585ef15a43d875",
            plain: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
            sealed: "f05e231b3894612c49ee000b804eb2a9b8306b508f839d6a5530831d9344af1c",
            icv: ""),
        PublishedPacket(
            source: "RFC 3686",
            transform: "aes256ctr-sha256",
            key: "ff7a617ce69148e4f1726e2f43581de2aa62d9f805532edff1eed687fb54153d001cc5b7",
            header: "0000123400000001",
            iv: "51a51d70a1c11148",
            plain: "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f20212223",
            sealed: "eb6c52821d0bbbf7ce7594462aca4faab407df866569fd07f48cc0b583d6071f1ec0e6b8",
            icv: ""),
    ]
}
