// Client enrols with Bouncy Castle as a device does, by CMP or by EST, and prints a line for each step that held; what goes
// wrong ends it with a stack trace. Run: java -cp bcprov.jar:bcpkix.jar:bcutil.jar Client.java cmp|est
// SERVER ROOT [PROFILE REFERENCE SECRET CURVE]...
import java.io.ByteArrayInputStream;
import java.math.BigInteger;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.SecureRandom;
import java.security.Security;
import java.security.cert.CertificateFactory;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.security.spec.ECGenParameterSpec;
import java.util.Arrays;
import java.util.Date;
import java.util.Set;
import org.bouncycastle.asn1.ASN1ObjectIdentifier;
import org.bouncycastle.asn1.DERNull;
import org.bouncycastle.asn1.cmp.CertRepMessage;
import org.bouncycastle.asn1.cmp.InfoTypeAndValue;
import org.bouncycastle.asn1.cmp.PBMParameter;
import org.bouncycastle.asn1.cmp.PKIBody;
import org.bouncycastle.asn1.crmf.CertReqMessages;
import org.bouncycastle.asn1.gm.GMObjectIdentifiers;
import org.bouncycastle.asn1.nist.NISTObjectIdentifiers;
import org.bouncycastle.asn1.pkcs.PKCSObjectIdentifiers;
import org.bouncycastle.asn1.x500.X500Name;
import org.bouncycastle.asn1.x509.AlgorithmIdentifier;
import org.bouncycastle.asn1.x509.GeneralName;
import org.bouncycastle.asn1.x509.SubjectPublicKeyInfo;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.cmp.CertificateConfirmationContentBuilder;
import org.bouncycastle.cert.cmp.GeneralPKIMessage;
import org.bouncycastle.cert.cmp.ProtectedPKIMessage;
import org.bouncycastle.cert.cmp.ProtectedPKIMessageBuilder;
import org.bouncycastle.cert.crmf.CertificateRequestMessage;
import org.bouncycastle.cert.crmf.CertificateRequestMessageBuilder;
import org.bouncycastle.cert.crmf.PKMACBuilder;
import org.bouncycastle.cert.crmf.jcajce.JcePKMACValuesCalculator;
import org.bouncycastle.est.ESTService;
import org.bouncycastle.est.EnrollmentResponse;
import org.bouncycastle.est.jcajce.JcaHttpAuthBuilder;
import org.bouncycastle.est.jcajce.JcaJceUtils;
import org.bouncycastle.est.jcajce.JsseESTServiceBuilder;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.ContentSigner;
import org.bouncycastle.operator.MacCalculator;
import org.bouncycastle.operator.PBEMacCalculatorProvider;
import org.bouncycastle.operator.jcajce.JcaContentSignerBuilder;
import org.bouncycastle.operator.jcajce.JcaContentVerifierProviderBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;
import org.bouncycastle.pkcs.PKCS10CertificationRequest;
import org.bouncycastle.pkcs.jcajce.JcaPKCS10CertificationRequestBuilder;

class Client {
    static final SecureRandom random = new SecureRandom();

    static byte[] octets() {
        byte[] out = new byte[16];
        random.nextBytes(out);
        return out;
    }

    static void check(boolean ok, String what) {
        if (!ok) throw new IllegalStateException(what);
        System.out.println(what + " ok");
    }

    static KeyPair key(String curve) throws Exception {
        KeyPairGenerator g = KeyPairGenerator.getInstance("EC", "BC");
        g.initialize(new ECGenParameterSpec(curve), random);
        return g.generateKeyPair();
    }

    static ContentSigner signer(KeyPair k, String curve) throws Exception {
        String name = curve.equals("sm2p256v1") ? "SM3WITHSM2" : "SHA256WITHECDSA";
        return new JcaContentSignerBuilder(name).setProvider("BC").build(k.getPrivate());
    }

    public static void main(String[] a) throws Exception {
        Security.addProvider(new BouncyCastleProvider());
        for (int i = 3; i < a.length; i += 4) { // profile, reference, secret, curve
            if (a[0].equals("cmp")) cmp(a[1] + a[i], a[i + 1], a[i + 2].toCharArray(), a[i + 3]);
            else est(a[1], a[i], a[i + 1], a[i + 2].toCharArray(), a[i + 3], Path.of(a[2]));
        }
    }

    // One transaction.
    static class Exchange {
        final String url;
        final byte[] id = octets();
        byte[] nonce, theirs;

        Exchange(String url) { this.url = url; }

        ProtectedPKIMessageBuilder message(X500Name sender, byte[] kid, PKIBody body) {
            nonce = octets();
            ProtectedPKIMessageBuilder b = new ProtectedPKIMessageBuilder(new GeneralName(sender), new GeneralName(new X500Name(new org.bouncycastle.asn1.x500.RDN[0])));
            b.setMessageTime(new Date()).setTransactionID(id).setSenderNonce(nonce).setSenderKID(kid).setBody(body);
            return theirs == null ? b : b.setRecipNonce(theirs);
        }

        ProtectedPKIMessage send(ProtectedPKIMessage m) throws Exception {
            HttpRequest r = HttpRequest.newBuilder(URI.create(url)).header("Content-Type", "application/pkixcmp")
                .POST(HttpRequest.BodyPublishers.ofByteArray(m.toASN1Structure().getEncoded())).build();
            byte[] body = HttpClient.newHttpClient().send(r, HttpResponse.BodyHandlers.ofByteArray()).body();
            GeneralPKIMessage g = new GeneralPKIMessage(body);
            if (!g.hasProtection()) throw new IllegalStateException("unprotected: " + org.bouncycastle.asn1.cmp.ErrorMsgContent.getInstance(g.toASN1Structure().getBody().getContent())
                .getPKIStatusInfo().toASN1Primitive());
            ProtectedPKIMessage out = new ProtectedPKIMessage(g);
            if (!Arrays.equals(out.getHeader().getTransactionID().getOctets(), id) || !Arrays.equals(out.getHeader().getRecipNonce().getOctets(), nonce))
                throw new IllegalStateException("answer to another message");
            theirs = out.getHeader().getSenderNonce().getOctets();
            return out;
        }
    }

    static CertificateRequestMessage request(KeyPair k, String curve) throws Exception {
        CertificateRequestMessageBuilder b = new CertificateRequestMessageBuilder(BigInteger.ZERO).setSubject(new X500Name("CN=x"))
            .setPublicKey(SubjectPublicKeyInfo.getInstance(k.getPublic().getEncoded())).setProofOfPossessionSigningKeySigner(signer(k, curve));
        return b.build();
    }

    static X509CertificateHolder granted(ProtectedPKIMessage m, int kind) throws Exception {
        if (m.getBody().getType() != kind) throw new IllegalStateException("kind " + m.getBody().getType() + ": " + m.getBody().getContent());
        CertRepMessage rep = CertRepMessage.getInstance(m.getBody().getContent());
        if (rep.getResponse()[0].getStatus().getStatus().intValue() != 0)
            throw new IllegalStateException("refused: " + rep.getResponse()[0].getStatus().getStatusString().getStringAtUTF8(0));
        return new X509CertificateHolder(rep.getResponse()[0].getCertifiedKeyPair().getCertOrEncCert().getCertificate().getX509v3PKCert());
    }

    static void cmp(String url, String reference, char[] secret, String curve) throws Exception {
        PBEMacCalculatorProvider checks = new PKMACBuilder(new JcePKMACValuesCalculator().setProvider("BC"));
        boolean sm2 = curve.equals("sm2p256v1");
        KeyPair k = key(curve);
        X500Name nobody = new X500Name("CN=" + reference);
        Exchange x = new Exchange(url);
        PKIBody ir = new PKIBody(PKIBody.TYPE_INIT_REQ, new CertReqMessages(request(k, curve).toASN1Structure()));
        ProtectedPKIMessage answer = x.send(x.message(nobody, reference.getBytes(), ir).build(mac(sm2, secret)));
        check(answer.verify(checks, secret), "ip-mac");
        X509CertificateHolder cert = granted(answer, PKIBody.TYPE_INIT_REP);
        check(Arrays.equals(cert.getSubjectPublicKeyInfo().getEncoded(), SubjectPublicKeyInfo.getInstance(k.getPublic().getEncoded()).getEncoded()), "ip-key");
        X509CertificateHolder issuer = answer.getCertificates()[0];
        check(cert.isSignatureValid(new JcaContentVerifierProviderBuilder().setProvider("BC").build(issuer)), "ip-certificate");

        PKIBody confirm = new PKIBody(PKIBody.TYPE_CERT_CONFIRM, new CertificateConfirmationContentBuilder().addAcceptedCertificate(cert, BigInteger.ZERO)
            .build(new JcaDigestCalculatorProviderBuilder().setProvider("BC").build()).toASN1Structure());
        answer = x.send(x.message(nobody, reference.getBytes(), confirm).build(mac(sm2, secret)));
        check(answer.verify(checks, secret) && answer.getBody().getType() == PKIBody.TYPE_CONFIRM, "pkiconf");

        KeyPair next = key(curve);
        x = new Exchange(url);
        PKIBody kur = new PKIBody(PKIBody.TYPE_KEY_UPDATE_REQ, new CertReqMessages(request(next, curve).toASN1Structure()));
        byte[] kid = org.bouncycastle.asn1.x509.SubjectKeyIdentifier.fromExtensions(cert.getExtensions()).getKeyIdentifier();
        answer = x.send(x.message(cert.getSubject(), kid, kur).addCMPCertificate(cert)
            .addGeneralInfo(new InfoTypeAndValue(new ASN1ObjectIdentifier("1.3.6.1.5.5.7.4.13"), DERNull.INSTANCE)).build(signer(k, curve)));
        X509CertificateHolder protector = answer.getCertificates()[0];
        check(answer.verify(new JcaContentVerifierProviderBuilder().setProvider("BC").build(protector)), "kup-signature");
        check(protector.isSignatureValid(new JcaContentVerifierProviderBuilder().setProvider("BC").build(issuer)), "kup-protector");
        X509CertificateHolder renewed = granted(answer, PKIBody.TYPE_KEY_UPDATE_REP);
        check(renewed.getSubject().equals(cert.getSubject()) && !renewed.getSerialNumber().equals(cert.getSerialNumber()), "kup-certificate");
    }

    // PasswordBasedMac with SM3 or SHA-256. PBMAC1 of Bouncy Castle 1.72 names PBES2 in the place of PBKDF2, which nobody can read.
    static MacCalculator mac(boolean sm3, char[] secret) throws Exception {
        AlgorithmIdentifier hash = new AlgorithmIdentifier(sm3 ? GMObjectIdentifiers.sm3 : NISTObjectIdentifiers.id_sha256);
        AlgorithmIdentifier hmac = new AlgorithmIdentifier(sm3 ? GMObjectIdentifiers.hmac_sm3 : PKCSObjectIdentifiers.id_hmacWithSHA256, DERNull.INSTANCE);
        return new PKMACBuilder(new JcePKMACValuesCalculator().setProvider("BC")).setParameters(new PBMParameter(octets(), hash, 1000, hmac)).build(secret);
    }

    static void est(String server, String label, String reference, char[] secret, String curve, Path root) throws Exception {
        X509Certificate tls = (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(new ByteArrayInputStream(Files.readAllBytes(root)));
        JsseESTServiceBuilder b = new JsseESTServiceBuilder(server, JcaJceUtils.getCertPathTrustManager(Set.of(new TrustAnchor(tls, null)), null));
        b.withTLSVersion("TLSv1.2").withFilterCipherSuites(false).withHostNameAuthorizer((name, session) -> name.equals("localhost")).withLabel(label);
        ESTService est = b.build();
        check(ESTService.storeToArray(est.getCACerts().getCertificateStore()).length == 2, "cacerts");
        check(est.getCSRAttributes().hasAttributesResponse() || est.getCSRAttributes().getAttributesResponse() != null, "csrattrs");
        KeyPair k = key(curve);
        PKCS10CertificationRequest csr = new JcaPKCS10CertificationRequestBuilder(new javax.security.auth.x500.X500Principal("CN=x"), k.getPublic()).build(signer(k, curve));
        EnrollmentResponse r = est.simpleEnroll(false, csr, new JcaHttpAuthBuilder(reference, secret).setProvider("BC").build());
        X509CertificateHolder[] got = ESTService.storeToArray(r.getStore());
        check(got.length == 1 && Arrays.equals(got[0].getSubjectPublicKeyInfo().getEncoded(), csr.getSubjectPublicKeyInfo().getEncoded()), "simpleenroll");
    }
}
