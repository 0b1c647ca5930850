import Testing

/// A signature of Ed448 as RFC 8032 section 7.4 prints it.
struct PublishedEd448: CustomTestStringConvertible, Sendable {
    let name: String
    let secret: String
    let publicKey: String
    let message: String
    let signature: String

    var testDescription: String { "RFC 8032, Ed448, \(name)" }

    /// Three of those without a context.
    static let all = [
        PublishedEd448(
            name: "blank",
            secret: "6c82a562cb808d10d632be89c8513ebf6c929f34ddfa8c9f63c9960ef6e348a3528c8a3fcc2f044e39a3fc5b94492f8f"
                + "032e7549a20098f95b",
            publicKey:
                "5fd7449b59b461fd2ce787ec616ad46a1da1342485a70e1f8a0ea75d80e96778edf124769b46c7061bd6783df1e50f6c"
                + "d1fa1abeafe8256180",
            message: "",
            signature:
                "533a37f6bbe457251f023c0d88f976ae2dfb504a843e34d2074fd823d41a591f2b233f034f628281f2fd7a22ddd47d78"
                + "28c59bd0a21bfd3980ff0d2028d4b18a9df63e006c5d1c2d345b925d8dc00b4104852db99ac5c7cdda8530a113a0f4db"
                + "b61149f05a7363268c71d95808ff2e652600"),
        PublishedEd448(
            name: "1 octet",
            secret: "c4eab05d357007c632f3dbb48489924d552b08fe0c353a0d4a1f00acda2c463afbea67c5e8d2877c5e3bc397a659949e"
                + "f8021e954e0a12274e",
            publicKey:
                "43ba28f430cdff456ae531545f7ecd0ac834a55d9358c0372bfa0c6c6798c0866aea01eb00742802b8438ea4cb82169c"
                + "235160627b4c3a9480",
            message: "03",
            signature:
                "26b8f91727bd62897af15e41eb43c377efb9c610d48f2335cb0bd0087810f4352541b143c4b981b7e18f62de8ccdf633"
                + "fc1bf037ab7cd779805e0dbcc0aae1cbcee1afb2e027df36bc04dcecbf154336c19f0af7e0a6472905e799f1953d2a0f"
                + "f3348ab21aa4adafd1d234441cf807c03a00"),
        PublishedEd448(
            name: "11 octets",
            secret: "cd23d24f714274e744343237b93290f511f6425f98e64459ff203e8985083ffdf60500553abc0e05cd02184bdb89c4cc"
                + "d67e187951267eb328",
            publicKey:
                "dcea9e78f35a1bf3499a831b10b86c90aac01cd84b67a0109b55a36e9328b1e365fce161d71ce7131a543ea4cb5f7e9f"
                + "1d8b00696447001400",
            message: "0c3e544074ec63b0265e0c",
            signature:
                "1f0a8888ce25e8d458a21130879b840a9089d999aaba039eaf3e3afa090a09d389dba82c4ff2ae8ac5cdfb7c55e94d5d"
                + "961a29fe0109941e00b8dbdeea6d3b051068df7254c0cdc129cbe62db2dc957dbb47b51fd3f213fb8698f064774250a5"
                + "028961c9bf8ffd973fe5d5c206492b140e00"),
    ]
}
