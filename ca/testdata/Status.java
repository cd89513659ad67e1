// Status reads the lists and OCSP answers that the authority serves and says with Bouncy Castle what it finds: one line a
// file. What does not verify it prints as "FAIL". Run: java -cp bcprov.jar:bcpkix.jar:bcutil.jar Status.java DIR
import java.math.BigInteger;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.Security;
import java.util.Arrays;
import org.bouncycastle.asn1.ASN1Integer;
import org.bouncycastle.asn1.ASN1OctetString;
import org.bouncycastle.asn1.ocsp.OCSPObjectIdentifiers;
import org.bouncycastle.asn1.x509.CRLReason;
import org.bouncycastle.asn1.x509.Extension;
import org.bouncycastle.asn1.x509.GeneralNames;
import org.bouncycastle.asn1.x509.IssuingDistributionPoint;
import org.bouncycastle.cert.X509CRLEntryHolder;
import org.bouncycastle.cert.X509CRLHolder;
import org.bouncycastle.cert.X509CertificateHolder;
import org.bouncycastle.cert.ocsp.BasicOCSPResp;
import org.bouncycastle.cert.ocsp.OCSPReq;
import org.bouncycastle.cert.ocsp.OCSPResp;
import org.bouncycastle.cert.ocsp.RevokedStatus;
import org.bouncycastle.cert.ocsp.SingleResp;
import org.bouncycastle.jce.provider.BouncyCastleProvider;
import org.bouncycastle.operator.ContentVerifierProvider;
import org.bouncycastle.operator.DigestCalculatorProvider;
import org.bouncycastle.operator.jcajce.JcaContentVerifierProviderBuilder;
import org.bouncycastle.operator.jcajce.JcaDigestCalculatorProviderBuilder;

class Status {
    static Path dir;

    static byte[] read(String name) throws Exception { return Files.readAllBytes(dir.resolve(name)); }

    static ContentVerifierProvider verifier(X509CertificateHolder c) throws Exception {
        return new JcaContentVerifierProviderBuilder().setProvider("BC").build(c);
    }

    static String number(X509CRLHolder crl, org.bouncycastle.asn1.ASN1ObjectIdentifier id) {
        Extension e = crl.getExtension(id);
        return e == null ? "none" : ASN1Integer.getInstance(e.getParsedValue()).getValue() + (e.isCritical() ? " critical" : "");
    }

    static String reason(X509CRLHolder crl, BigInteger serial) {
        X509CRLEntryHolder entry = crl.getRevokedCertificate(serial);
        if (entry == null) return "absent";
        Extension e = entry.getExtension(Extension.reasonCode);
        return e == null ? "0" : CRLReason.getInstance(e.getParsedValue()).getValue().toString();
    }

    static void crl(String name, X509CertificateHolder issuer, BigInteger serial) throws Exception {
        X509CRLHolder crl = new X509CRLHolder(read(name));
        Extension e = crl.getExtension(Extension.issuingDistributionPoint);
        String point = "none";
        if (e != null) {
            IssuingDistributionPoint p = IssuingDistributionPoint.getInstance(e.getParsedValue());
            GeneralNames names = GeneralNames.getInstance(p.getDistributionPoint().getName());
            point = names.getNames()[0].getName() + (e.isCritical() ? " critical" : "");
        }
        System.out.println(name + (crl.isSignatureValid(verifier(issuer)) ? " ok" : " FAIL") + " number " + number(crl, Extension.cRLNumber)
            + " base " + number(crl, Extension.deltaCRLIndicator) + " point " + point + " freshest "
            + (crl.getExtension(Extension.freshestCRL) != null) + " reason " + reason(crl, serial));
    }

    static void ocsp(String name, X509CertificateHolder issuer, DigestCalculatorProvider digests) throws Exception {
        OCSPReq request = new OCSPReq(read(name + ".req"));
        BasicOCSPResp r = (BasicOCSPResp) new OCSPResp(read(name + ".resp")).getResponseObject();
        X509CertificateHolder delegate = r.getCerts()[0];
        boolean ok = delegate.isSignatureValid(verifier(issuer)) && r.isSignatureValid(verifier(delegate))
            && r.getResponses().length == request.getRequestList().length;
        Extension asked = request.getExtension(OCSPObjectIdentifiers.id_pkix_ocsp_nonce);
        Extension told = r.getExtension(OCSPObjectIdentifiers.id_pkix_ocsp_nonce);
        ok &= (asked == null) == (told == null) && (asked == null || Arrays.equals(ASN1OctetString.getInstance(asked.getParsedValue()).getOctets(), ASN1OctetString.getInstance(told.getParsedValue()).getOctets()));
        String states = "";
        for (int i = 0; i < r.getResponses().length; i++) {
            SingleResp one = r.getResponses()[i];
            ok &= one.getCertID().matchesIssuer(issuer, digests) && one.getCertID().equals(request.getRequestList()[i].getCertID());
            Object s = one.getCertStatus();
            states += s == null ? " good" : s instanceof RevokedStatus ? " revoked:" + ((RevokedStatus) s).getRevocationReason() : " unknown";
        }
        System.out.println(name + (ok ? " ok" : " FAIL") + states);
    }

    public static void main(String[] args) throws Exception {
        dir = Path.of(args[0]);
        Security.addProvider(new BouncyCastleProvider());
        X509CertificateHolder issuer = new X509CertificateHolder(read("issuer.der"));
        BigInteger serial = new X509CertificateHolder(read("leaf.der")).getSerialNumber();
        for (String name : new String[] {"held.crl", "held-delta.crl", "resumed.crl", "resumed-delta.crl", "full.crl"}) crl(name, issuer, serial);
        DigestCalculatorProvider digests = new JcaDigestCalculatorProviderBuilder().setProvider("BC").build();
        for (String state : new String[] {"good", "held"})
            for (String hash : new String[] {"sm3", "sha256", "sha1", "all"})
                for (String nonce : new String[] {"", "-nonce"}) ocsp(state + "-" + hash + nonce, issuer, digests);
    }
}
