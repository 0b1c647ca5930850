extension DerivedKeys {
    /// From NIST's samples for its validation system CAVS, `ikev2.rsp`: nonces of 64 bits, 132 bytes of key material. The
    /// key material of children is not at hand for these.
    static let cavs = [
        DerivedKeys(
            source: "CAVS, SHA-256", function: .hmacSHA256,
            initiatorNonce: "3f302be1abcb28e1",
            responderNonce: "8c332ee006064c9b",
            initiatorSPI: 0x40dac39e1e1a8640, responderSPI: 0x8619a1cf9a6e4c07,
            secret: "0f4d257d7a58fc4545c7d7a88119eee5d5c9690c5b4c989171d3abbfd99d1d29",
            newSecret: "25f3b12d6f282739256e39bf54eda53b60ffcf379bb7bcc90c27b4c4c578616c",
            seed: "5f00d1bd2c58ec224b1e6b71fa0f19a1faa7a193952c444411b47c1a9d8ba6fe",
            keyMaterial: """
                0b137d669b0947d7d026d593f0305ad401ff0c471357d695778a9c7f4b4869ece98aca531188d16041b3bb936d2dbb3b4993a6e7
                68a809160de45d0283f273a6cdf6854379e31be72b8d3d1fa990cf9c5b015ca9f918a7df6253c958114a09d4e1c19bdcd4db14b2
                9d98db1a74ad405c588662c14a04d0d36aa4ab55e90f8986d12d4aad
                """,
            rekeySeed: "2d63f6debc92048b4fef3889c4c99ca67d6496e0fac14a2bca9a2d6566ff2398"),
        DerivedKeys(
            source: "CAVS, SHA-384", function: .hmacSHA384,
            initiatorNonce: "fd1b572a8e735591",
            responderNonce: "6013b0ef88dacd3d",
            initiatorSPI: 0x2116ad07ce61f749, responderSPI: 0x24880e55f11a65b7,
            secret: "d3288cd87565101e88fe3bad918f31939d8dd26ff1071f8b2d7f447524e58d7c",
            newSecret: "3358f620539473aee8d07e779764c4c6a9aabddc79a28e136b3bac021dbde44a",
            seed: "69fe7a1ac94adaeb711295f5fe004b1a8d6a0b65d05692758ce8ad2f7a45f59d7d0b596f51f7dfcf3330061888f6a94f",
            keyMaterial: """
                4f904c2025c90c817ea5ff9b662a6fdb445a73b57cdf09eacd379b95e1f03cacb04cd6deeda4f952191dd9bc1f7a9502471a648d
                74dc06d38112de48a42501f6b1a3ad55c2099cd9a648e5f17e5bf3e34bf9b5953decb768a34f875fe2b78dca0c2fcca81ec1a412
                006dfaed38fa06882e61f4c148105fb8e231fdb33c4d484c001721d4
                """,
            rekeySeed:
                "e0548c1682e13bce454026b3b1bdf42985b24e4e7408095a7c529de38c3d1fcb04c9fe6868042a34c9614c6c99e3fcea"),
        DerivedKeys(
            source: "CAVS, SHA-512", function: .hmacSHA512,
            initiatorNonce: "97c41a9b0a03e74c",
            responderNonce: "a659fd06e1746600",
            initiatorSPI: 0xff43c5c689b95481, responderSPI: 0xe2ba607f30079bb7,
            secret: "276255c3eaace5c6db32b609aa86c0ef07bba4bf2dc4c262995efd95ca607c3f",
            newSecret: "bb4015f7727b35532021336a9e4a6370ac8729b01fbb8f15d52236820fac4709",
            seed: """
                d6e74966b75fd2afab48be319d63d97c8a5d2ffe2e320763a462c664b36c3a944067d867c3a55fd8a7e5cca64b22e24415987e15
                549f09a81b455adaa5303df8
                """,
            keyMaterial: """
                22259105314717dc73c210919ee9cb3ded774dc087e866aa3960404c0ed7b8e78e79b993888388e2e5cb238d4bfcb4cdee9da074
                a26e329d6c2f2f660cc9c711c941a2fb3d85a2e5d01e579c8f2c9d00fa6fabe76a137b00c7ff1b291899906588c26f073d819063
                238c4c844f0f8d221b65b76dbc9ed6f6368e5dba86b3e81b60eb44a1
                """,
            rekeySeed: """
                ecdaf3ccb990abc898a453b03fd56f9975275f150e1e571b0560b3cb2ee67289e82b899cdc2129fd821fe8aebea796f190765c25
                798f5883f923526551f16a4b
                """),
    ]
}
