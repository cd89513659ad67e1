// Peer reads what our code has written and says with Bouncy Castle whether it holds. It prints one line a file; what
// it cannot verify it prints as "FAIL". Run: java -cp bcprov.jar:bcpkix.jar:bcutil.jar Peer.java DIR
import java.io.ByteArrayInputStream;
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Security;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.cert.X509CRLHolder;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.ocsp.BasicOCSPResp;
import org.bouncycastle.cert.ocsp.OCSPReq;
import org.bouncycastle.cert.ocsp.OCSPResp;
import org.bouncycastle.cms.CMSProcessableByteArray;
import org.bouncycastle.cms.CMSSignedData;
import org.bouncycastle.cms.DefaultCMSSignatureAlgorithmNameGenerator;
import org.bouncycastle.cms.SignerInformation;
import org.bouncycastle.cms.SignerInformationVerifier;
import org.bouncycastle.cms.jcajce.JcaSignerInfoVerifierBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.ContentVerifierProvider;
import org.bouncycastle.operator.DigestCalculatorProvider;
import org.bouncycastle.operator.jcajce.JcaContentVerifierProviderBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;
import org.bouncycastle.tsp.TimeStampRequest;
import org.bouncycastle.tsp.TimeStampResponse;

class Peer {
    interface Check { boolean ok() throws Exception; }

    static Path dir;

    static byte[] read(String name) throws Exception { return Files.readAllBytes(dir.resolve(name)); }

    static void say(String name, Check c) {
        try {
            System.out.println(name + (c.ok() ? " ok" : " FAIL"));
        } catch (Exception e) {
            System.out.println(name + " FAIL " + e);
        }
    }

    static X509CertificateHolder cert(String name) throws Exception { return new X509CertificateHolder(read(name)); }

    static ContentVerifierProvider verifier(String name) throws Exception {
        return new JcaContentVerifierProviderBuilder().setProvider("BC").build(cert(name));
    }

    // Bouncy Castle knows 1.2.156.10197.1.501 (SM2-with-SM3) in signers, and GB/T 35275 wants 1.2.156.10197.1.301.1: the
    // same algorithm under another name, which has to be told.
    static class Names extends DefaultCMSSignatureAlgorithmNameGenerator {
        Names() { setSigningEncryptionAlgorithmMapping(new ASN1ObjectIdentifier("1.2.156.10197.1.301.1"), "SM2"); }
    }

    static SignerInformationVerifier signer() throws Exception {
        DigestCalculatorProvider digests = new JcaDigestCalculatorProviderBuilder().setProvider("BC").build();
        return new JcaSignerInfoVerifierBuilder(digests).setProvider("BC").setSignatureAlgorithmNameGenerator(new Names()).build(cert("signer.der"));
    }

    static boolean cms(CMSSignedData data) throws Exception {
        SignerInformation info = data.getSignerInfos().getSigners().iterator().next();
        return info.verify(signer());
    }

    public static void main(String[] args) throws Exception {
        dir = Path.of(args[0]);
        Security.addProvider(new BouncyCastleProvider());
        say("crl", () -> {
            X509CRLHolder crl = new X509CRLHolder(read("a.crl"));
            return crl.isSignatureValid(verifier("ca.der")) && crl.getRevokedCertificate(new BigInteger("5")) != null;
        });
        say("crl-edited", () -> !new X509CRLHolder(read("edited.crl")).isSignatureValid(verifier("ca.der")));
        say("ocsp", () -> {
            BasicOCSPResp r = (BasicOCSPResp) new OCSPResp(read("ocsp.der")).getResponseObject();
            return r.isSignatureValid(verifier("ca.der")) && r.getResponses().length == 1;
        });
        say("ocsp-request", () -> new OCSPReq(read("request.der")).getRequestList().length == 1);
        say("tsp", () -> {
            TimeStampResponse r = new TimeStampResponse(read("r.tsr"));
            r.validate(new TimeStampRequest(read("q.tsq")));
            r.getTimeStampToken().validate(signer());
            return true;
        });
        say("cms", () -> cms(new CMSSignedData(read("attached.p7"))));
        say("cms-attributes", () -> cms(new CMSSignedData(read("attributes.p7"))));
        say("cms-detached", () -> cms(new CMSSignedData(new CMSProcessableByteArray(read("content")), read("detached.p7"))));
    }
}
