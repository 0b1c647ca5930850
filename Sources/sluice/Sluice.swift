import ArgumentParser

@main
struct Sluice: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "sluice", abstract: "A site-to-site IPsec gateway.")
}
